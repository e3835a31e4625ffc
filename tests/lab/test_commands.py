"""`python -m lab`: runs once, says what it left out, reports."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.command import Lab
from tests.lab.little_study import TOML
from tests.support.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "little.toml"
    path.write_text(TOML)
    return path


def test_the_list_has_every_experiment_with_its_cases_and_state(lab: Lab) -> None:
    rows = json.loads(lab("list", "--json").out)

    assert [*rows[0]] == ["name", "scale", "cases", "state"]
    assert all(row["cases"] > 0 for row in rows if row["scale"])
    assert all(row["state"].startswith("not run") for row in rows)
    assert {row["name"] for row in rows} >= {"mnist", "femnist", "retrieval", "consensus", "digits"}


def test_studies_without_configuration_are_listed_with_the_state_of_their_files(lab: Lab) -> None:
    options = ["--nodes", 150, "--lookups", 2, "--workers", 1, "--source", "synthetic"]
    Path("out/retrieval").mkdir(parents=True)
    done = lab("retrieval", *options, "--json", "out/retrieval/small.json")
    report = lab("report", "--output", "out")
    rows = json.loads(lab("list", "--output", "out", "--json").out)

    assert done.code == report.code == 0
    states = {row["name"]: row["state"] for row in rows if row["scale"] is None}
    assert states == {
        "retrieval": "complete",
        "consensus": "not run: python -m lab consensus",
        "digits": "not run: python -m lab digits",
        "incentives": "not run: python -m lab incentives",
        "sum-riders": "not run: python -m lab sum-riders",
        "public-networks": "not run: python -m lab public-networks",
        "synthetic-features": "not run: python -m lab synthetic-features",
        "tables": "not run: python -m lab tables",
    }
    index = Path("out/README.md").read_text()
    assert "| [retrieval](retrieval.md) | Lookups" in index
    assert "| digits | Digits" in index
    assert Path("out/retrieval.svg").exists()


@pytest.mark.parametrize(
    "study",
    [
        "retrieval",
        "consensus",
        "digits",
        "incentives",
        "sum-riders",
        "public-networks",
        "synthetic-features",
        "tables",
    ],
)
def test_each_study_without_configuration_has_its_own_command(lab: Lab, study: str) -> None:
    help_ = lab(study, "--help")

    assert help_.code == 0
    assert f"Example: python -m lab {study}" in help_.out
    assert "--json" in help_.out


def test_a_study_is_run_once_and_reported(lab: Lab, study: Path) -> None:
    first = lab("run", study, "--seeds", 1, "--workers", 1, "--output", "out")
    again = lab("run", study, "--seeds", 1, "--workers", 1, "--output", "out")
    report = lab("report", study, "--output", "out")

    assert first.code == again.code == report.code == 0
    assert "1 of 1: finished little: class5 plain seed 0" in first.out
    assert "1 cases run, 0 already finished, 0 skipped, 0 failed" in first.out
    assert "0 cases run, 1 already finished, 0 skipped, 0 failed" in again.out
    assert json.loads(Path("out/summary.json").read_text())[0]["experiment"] == "little"


def test_failed_cases_give_exit_code_18_after_the_others_ran(lab: Lab, study: Path) -> None:
    study.write_text(
        TOML + "[methods.wrong]\nsettings.fail = true\n[methods.absent]\nsettings.absent = true\n"
    )
    done = lab("run", study, "--seeds", 1, "--workers", 1, "--output", "out")

    assert done.code == 18
    assert "skipped: little: class5 absent seed 0: little: no such data" in done.out
    assert "FAILED: little: class5 wrong seed 0: little: failed as asked" in done.out
    assert done.err.startswith("lab: 1 of 3 cases failed")


def test_a_corrupt_result_file_is_reported_before_any_work(lab: Lab, study: Path) -> None:
    lab("run", study, "--workers", 1, "--output", "out")
    broken = next(Path("out").rglob("*.jsonl"))
    broken.write_text("{\n")

    run = lab("run", study, "--output", "out")
    report = lab("report", study, "--output", "out")

    assert run.code == report.code == 18
    assert str(broken) in run.err
    assert str(broken) in report.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the experiments to run, or give --all"),
        (["little.toml", "--all"], "name the experiments to run, or give --all"),
        (["none-such"], "'none-such' is unknown"),
        (["little.toml", "--scale", "full"], "has no scale full"),
        (["wrong.toml"], "kind 'magic' is unknown"),
    ],
)
def test_invalid_arguments_are_refused_before_any_work(
    lab: Lab, study: Path, arguments: list[str], said: str
) -> None:
    Path("wrong.toml").write_text(TOML.replace("tests.lab.little_study:run", "magic"))
    done = lab("run", *arguments, "--output", "out")

    assert done.code == 2
    assert said in done.err
    assert not Path("out").exists()


def test_a_running_file_is_locked_and_ctrl_c_ends_the_run_cleanly(lab: Lab, study: Path) -> None:
    study.write_text(TOML.replace("rounds = 3", "rounds = 400\npause = 0.05"))
    command = [sys.executable, "-m", "lab", "run", str(study), "--seeds", "1"]
    process = subprocess.Popen(
        [*command, "--output", "out"],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Where the tests run in the background of a shell, they inherit an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: list(Path("out").rglob("*.checkpoint")))
    second = lab("run", study, "--seeds", 1, "--output", "out")
    process.send_signal(signal.SIGINT)

    assert process.wait(PATIENCE) == 130
    assert second.code == 18
    assert second.err.startswith("lab: out/cases/small/little.jsonl is in use by another run")
    assert not process.stderr.read()
    assert list(Path("out").rglob("*.checkpoint"))
    assert not list(Path("out").rglob("*.jsonl"))
