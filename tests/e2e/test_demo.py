"""`fedpact demo` as a person runs it: JSON, report, a poisoner, Ctrl-C, impossible options."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import processes_under
from tests.support.waiting import PATIENCE, wait_until

DEMO = (sys.executable, "-m", "fedpact", "demo")


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The demo, run in a folder that gets its report."""
    return subprocess.run(
        [*DEMO, *options], capture_output=True, text=True, check=False, cwd=folder
    )


def test_pays_the_honest_and_not_the_poisoner(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    run = demo(tmp_path, "--poison", "1", "--rounds", "4", "--json", str(file))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "report: demo-report/request-1.html\n" in run.stdout
    assert "Confusion matrix" in (tmp_path / "demo-report" / "request-1.html").read_text()
    result = json.loads(file.read_text())

    assert len(result["rounds"]) == 4
    for row in result["rounds"]:
        assert set(row) == {"leader", "excluded", "global_cid", "mae", "gas", "seconds"}
        assert row["gas"] > 0
    [poisoned] = [one for one in result["providers"] if one["poisoned"]]
    honest = [one for one in result["providers"] if not one["poisoned"]]
    assert set(poisoned) == {
        "address",
        "poisoned",
        "samples",
        "points",
        "paid_wei",
        "epsilon",
        "delta",
        "reputation",
        "drawn",
    }
    assert all(poisoned["address"] in row["excluded"] for row in result["rounds"])
    mean_pay = sum(one["paid_wei"] for one in honest) / len(honest)
    assert poisoned["paid_wei"] <= mean_pay / 10
    assert all(one["paid_wei"] > 0 for one in honest)
    assert all(one["reputation"] > poisoned["reputation"] for one in honest)
    assert all(one["epsilon"] <= 4.0 and one["delta"] == 1e-5 for one in honest)
    assert result["final"]["accuracy"] > result["final"]["best_single_accuracy"]
    assert result["final"]["cid"] == result["rounds"][-1]["global_cid"]
    assert result["audit"]
    assert all(result["audit"].values())
    assert result["totals"]["gas"] > sum(row["gas"] for row in result["rounds"])


def on_a_paper(tmp_path: Path, *options: str) -> dict[str, Any]:
    """A paper's demo in which all held, and every audit is true."""
    file = tmp_path / "demo.json"
    run = demo(tmp_path, "--paper", *options, "--json", str(file))
    assert run.returncode == 0, run.stdout + run.stderr
    result: dict[str, Any] = json.loads(file.read_text())
    assert result["failures"] == []
    assert all(all(one["items"].values()) for one in result["audits"])
    assert "claimed by the paper, not guaranteed" in " ".join(run.stdout.split())
    return result


def test_runs_wang_s_whole_system(tmp_path: Path) -> None:
    """A pool, DLMU and DDP-SGD together, and a second request that continues the first's model."""
    result = on_a_paper(tmp_path, "wang", "--providers", "5", "--cohort", "2", "--rounds", "1")
    assert len(result["audits"]) == 2
    assert len(result["accuracy"]) == 2


@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_runs_lu_s_whole_system(tmp_path: Path, rounds: int) -> None:
    """From a search to a result that the next requester gets without any training."""
    result = on_a_paper(tmp_path, "lu", "--rounds", str(rounds))
    assert len(result["audits"]) == 4
    assert result["right"]["queries"] >= 20
    assert result["right"]["fresh"] >= 20
    places = " ".join(step["place"] for step in result["steps"])
    for place in ("def. 1", "eq. 1, 2", "eq. 3", "eq. 4", "alg. 1", "III-D.2", "table I", "M(Req)"):
        assert place in places


@pytest.mark.slow
def test_a_drawn_cohort_trains_on_fixed_features_after_a_round_that_centres_them(
    tmp_path: Path,
) -> None:
    """Every cohort has all labels: without some the model may be worse than one provider's."""
    drawn = ("--providers", "4", "--cohort", "3", "--rounds", "4", "--partition", "iid")
    result = on_scattering_features(tmp_path, *drawn, "--report", str(tmp_path / "report"))
    assert (tmp_path / "report" / "request-1.html").exists()
    assert result["final"]["accuracy"] > 0.7
    assert len(result["rounds"]) == 4
    assert sum(one["drawn"] for one in result["providers"]) == 4 * 3
    for one in result["providers"]:
        assert (one["paid_wei"] > 0) == (one["drawn"] > 0)
        assert (one["epsilon"] or 0) <= 4.0
    by_draws = sorted((one["drawn"], one["epsilon"] or 0.0) for one in result["providers"])
    assert [epsilon for _, epsilon in by_draws] == sorted(epsilon for _, epsilon in by_draws)
    # All agree: a round after the first is one transaction.
    assert all(row["gas"] < 200_000 for row in result["rounds"][1:])


@pytest.mark.slow
@pytest.mark.skipif("FEDPACT_DATA" not in os.environ, reason="needs MNIST below FEDPACT_DATA")
def test_is_accurate_on_mnist_at_epsilon_2_in_20_rounds(tmp_path: Path) -> None:
    result = on_scattering_features(tmp_path, "--data", "mnist", "--epsilon", "2")
    assert len(result["rounds"]) <= 20
    assert result["final"]["accuracy"] >= 0.955
    assert all(one["epsilon"] <= 2.0 and one["delta"] == 1e-5 for one in result["providers"])


def on_scattering_features(tmp_path: Path, *options: str) -> dict[str, Any]:
    """The result of a demo in which the audit passed and no provider was excluded."""
    file = tmp_path / "demo.json"
    options = ("--family", "scattering-linear", *options, "--json", str(file))
    run = demo(tmp_path, *options)
    assert run.returncode == 0, run.stdout + run.stderr
    result: dict[str, Any] = json.loads(file.read_text())
    assert result["audit"]
    assert all(result["audit"].values())
    assert all(row["excluded"] == [] for row in result["rounds"])
    return result


def test_cleans_up_after_ctrl_c(tmp_path: Path) -> None:
    """Neither chain nor daemons nor files of the demo outlive it."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [*DEMO, "--providers", "2", "--rounds", "10"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        # Where the tests run in the background of a shell, they inherit an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: len(processes_under(tmp_path)) >= 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130
    finally:
        process.kill()
    wait_until(lambda: not processes_under(tmp_path))
    assert list(tmp_path.glob("fedpact-demo-*")) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--providers", "201"), "--providers 201: must be from 2 to 200"),
        (("--poison", "4"), "--poison 4: at least one of 4 must be honest"),
        (("--epsilon", "0"), "--epsilon 0.0: must be above 0"),
        (("--paper", "wang", "--family", "cnn"), "--family: a paper's demo sets it itself"),
        (("--paper", "wang", "--providers", "12"), "--providers 12: a multiple of 5"),
        (("--paper", "lu", "--cohort", "3"), "--cohort: Lu's committee takes part in every round"),
    ],
)
def test_refuses_invalid_options(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    run = demo(tmp_path, *options)
    assert run.returncode == 2
    assert said in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_says_where_mnist_is_looked_for() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FEDPACT_DATA"}
    run = subprocess.run(
        [*DEMO, "--data", "mnist"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 4
    assert run.stderr == "fedpact: mnist: set FEDPACT_DATA to the folder that holds data sets\n"
