"""The report: tables, plots and the summary, from nothing but files of results."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedpact.errors import InvalidInput
from lab.consensus_scale.command import STUDY as CONSENSUS
from lab.harness import configuration
from lab.harness.configuration import Experiment, Scale
from lab.harness.needs import need
from lab.harness.report import report
from lab.harness.results import Result, ResultFolder
from tests.lab.little_study import TOML

COMPARED = (
    TOML
    + """
[methods.other]

[[gaps]]
metric = "mean_gap"
curve = "global_accuracy"
method = "other"
base = "plain"

[[paper]]
partition = "class5"
method = "other"
metric = "global_accuracy"
value = 0.5714
source = "Fig. 2c"

[[claims]]
text = "other is better"
partition = "class5"
metric = "global_accuracy"
curve = "global_accuracy"
method = "other"
base = "plain"
paper_difference = 0.1799
source = "Fig. 2c"
"""
)
GRIDDED = TOML.replace('curves = ["global_accuracy"]', "") + (
    '\n[grid]\nattack = ["flip", "nan"]\nshare = [0.0, 0.3]\n'
)
FIGURES = {"plain": [(0.1, 0.2), (0.2, 0.3)], "other": [(0.0, 0.6), (0.1, 0.7)]}
"""Curve of two rounds by method and seed."""


def filled(folder: Path, text: str, figures: dict[str, Any] = FIGURES) -> Experiment:
    little = configuration.parse("little", text)
    for case in configuration.cases(little, Scale.SMALL):
        curve = figures[case.method.split(" ")[0]][case.seed]
        outcome = {
            "metrics": {"global_accuracy": curve[-1]},
            "curves": {"global_accuracy": curve},
            "privacy": {"mode": "sound", "epsilon": 2.0, "delta": 1e-5},
        }
        ResultFolder(folder).write(case, Result.of(case, outcome, 3.0))
    return little


def test_the_summary_has_one_row_per_method_and_metric(tmp_path: Path) -> None:
    report(tmp_path, [filled(tmp_path, COMPARED)])

    rows = json.loads((tmp_path / "summary.json").read_text())
    assert rows[0] == {
        "experiment": "little",
        "dataset": "digits",
        "partition": "class5",
        "providers": 1,
        "method": "plain",
        "privacy": "sound",
        "epsilon": 2.0,
        "delta": 1e-5,
        "metric": "global_accuracy",
        "mean": 0.25,
        "std": 0.070711,
        "seeds": 2,
        "scale": "small",
        "paper": None,
    }
    assert [(row["method"], row["metric"], row["mean"], row["paper"]) for row in rows[1:]] == [
        ("other", "global_accuracy", 0.65, 0.5714),
        ("other", "mean_gap", 0.25, None),  # (|0.0 - 0.1| + |0.6 - 0.2|) / 2, both seeds
    ]


def test_a_page_names_settings_only_where_all_cases_share_some(tmp_path: Path) -> None:
    """Pages said "Settings: ."."""
    for text, said in ((TOML, True), (TOML.replace("[settings]\nrounds = 3\n", ""), False)):
        report(tmp_path, [filled(tmp_path, text)])
        page = (tmp_path / "little.md").read_text()
        assert ("Settings: rounds 3." in page, "Settings" in page) == (said, said)


def test_the_page_shows_the_papers_figure_and_the_scale(tmp_path: Path) -> None:
    report(tmp_path, [filled(tmp_path, COMPARED)])

    page = (tmp_path / "little.md").read_text()
    assert (
        "| class5 | other | global accuracy | 65.00 ± 7.07 % | 1.47 to 128.53 | "
        "+40.00 [+40.00, +40.00] | 57.14 % (Fig. 2c) | 2 | small |"
    ) in page
    assert "(plots/little-small.svg)" in page


def test_a_claim_is_compared_with_the_paired_difference(tmp_path: Path) -> None:
    report(tmp_path, [filled(tmp_path, COMPARED)])

    assert (
        "| other is better | digits | class5 | +17.99 % | +40.00 [+40.00, +40.00] | "
        "observed | 2 of 2 "
        "| 2 of 2 | small |"
    ) in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ([(0.0, 0.1), (0.1, 0.2)], "opposite observed"),
        ([(0.0, 0.6), (0.1, 0.2)], "not significant"),
    ],
)
def test_a_claim_that_is_not_observed_is_reported(
    tmp_path: Path, other: list[tuple[float, float]], said: str
) -> None:
    report(tmp_path, [filled(tmp_path, COMPARED, {**FIGURES, "other": other})])

    assert said in (tmp_path / "little.md").read_text()


def test_what_one_way_takes_less_of_is_computed_from_a_study_s_file(tmp_path: Path) -> None:
    costs = [
        {
            "mode": mode,
            "members": members,
            "chain_nodes": 10,
            "work": {"consensus": seconds},
            "messages": {"lookup": 5.0, "chain": messages},
        }
        for mode, members, seconds, messages in (
            ("poq", 10, 0.5, 9.0),
            ("pow", 10, 20.0, 6.0),
            ("poq", 100, 0.5, 9.0),  # not everybody keeps the chain: another comparison
        )
    ]
    (tmp_path / "consensus.json").write_text(json.dumps({"costs": costs}))
    report(tmp_path, [filled(tmp_path, COMPARED)], [CONSENSUS])

    page = (tmp_path / "README.md").read_text()
    assert "| 10 participants | 0.5 against 20 CPU s | observed |" in page
    assert "| 10 participants | 14 against 11 messages | opposite observed |" in page
    assert "100 participants" not in page


def test_a_grid_is_shown_with_its_last_axis_across(tmp_path: Path) -> None:
    report(tmp_path, [filled(tmp_path, GRIDDED)])

    page = (tmp_path / "little.md").read_text()
    assert "| method | attack | 0.0 | 0.3 |" in page
    assert "| plain | flip | 25.00 ± 7.07 % | 25.00 ± 7.07 % |" in page
    assert (tmp_path / "plots" / "little-small.svg").exists()


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    little = filled(tmp_path, COMPARED)
    first = {path: path.read_bytes() for path in report(tmp_path, [little])}

    assert {path: path.read_bytes() for path in report(tmp_path, [little])} == first
    assert b"matplotlib" in first[tmp_path / "plots" / "little-small.svg"]


def test_missing_and_unmatched_results_are_reported(tmp_path: Path) -> None:
    filled(tmp_path, TOML.replace("rounds = 3", "rounds = 4"), FIGURES)
    folder = ResultFolder(tmp_path)
    changed = configuration.parse("little", COMPARED.replace("rounds = 3", "rounds = 4"))
    other = filled(tmp_path / "b", TOML)
    stranger = next(configuration.cases(other, Scale.SMALL))
    odd = folder.folder / "small" / "old.jsonl"
    odd.write_bytes(ResultFolder(tmp_path / "b").path(stranger).read_bytes().splitlines(True)[0])

    report(tmp_path, [changed])

    index = (tmp_path / "README.md").read_text()
    assert "2 not run: needs about 1 minute of one core" in index
    assert "1 results are left out" in index
    assert "2 cases have not been run: needs about" in (tmp_path / "little.md").read_text()


def test_equal_figures_by_another_machine_draw_the_same_plot(tmp_path: Path) -> None:
    little = filled(tmp_path, COMPARED)
    report(tmp_path, [little])
    plot = tmp_path / "plots" / "little-small.svg"
    drawn = plot.read_bytes()
    folder = ResultFolder(tmp_path)
    for case in configuration.cases(little, Scale.SMALL):
        [kept] = [one for one in folder.all() if one.identity == case.identity]
        folder.write(case, replace(kept, seconds=99.0, provenance={**kept.provenance, "cores": 64}))
    report(tmp_path, [little])

    assert plot.read_bytes() == drawn


def test_a_configuration_without_results_is_listed_with_the_reason(tmp_path: Path) -> None:
    absent = TOML + 'not_run = "no data"\n[scales.full]\nproviders = 9\n'
    report(tmp_path, [filled(tmp_path, COMPARED), configuration.parse("absent", absent)])

    index = (tmp_path / "README.md").read_text()
    assert "| absent | A little study | small | 0 | 0.00 | not run: no data |" in index
    assert "| absent | A little study | full | 0 | 0.00 | not run: needs about 1 minute " in index
    assert not (tmp_path / "absent.md").exists()


def test_missing_cases_are_listed_with_the_time_that_they_need(tmp_path: Path) -> None:
    text = TOML.replace("rounds = 3", "rounds = 3\ntrain_examples = 10\nlocal = {epochs = 2}")
    little = filled(tmp_path, text)  # 3 seconds a case
    text += "[scales.full]\nproviders = 4\nseeds = 1\n[scales.full.settings]\nrounds = 28_800\n"
    longer = [
        configuration.parse("same", text),
        configuration.parse("larger", text + 'family = {name = "cnn"}'),
    ]
    report(tmp_path, [little, *longer])

    index = (tmp_path / "README.md").read_text()
    assert "| same | A little study | full | 0 | 0.00 | not run: needs about 8 hours of" in index
    assert "| larger | A little study | full | 0 | 0.00 | not run: needs over 8 hours of" in index


def test_work_beyond_a_day_of_one_core_is_left_to_a_gpu() -> None:
    cifar10 = configuration.load("cifar10")
    results = ResultFolder(Path(__file__).parents[2] / "docs" / "results").all()
    full = list(configuration.cases(cifar10, Scale.FULL))
    assert re.fullmatch(r"needs a GPU, or over \d{3} hours of one core", need(full, results))
    assert need(full[:1], results).startswith("needs over ")


def test_cases_of_a_kind_that_was_never_timed_are_said_to_be_so(tmp_path: Path) -> None:
    little = configuration.parse("little", TOML)
    assert "was ever timed" in need(list(configuration.cases(little, Scale.SMALL)), [])


def test_the_published_report_lists_every_configuration_and_scale() -> None:
    index = (Path(__file__).parents[2] / "docs" / "results" / "README.md").read_text()
    rows = [line.split(" | ") for line in index.splitlines() if line.startswith("| ")]
    listed = {(row[0].strip("| ").split("]")[0].lstrip("["), *row[2:3]) for row in rows}
    for name in configuration.names():
        for scale in configuration.load(name).scales:
            assert (name, scale.value) in listed


def test_a_report_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="run experiments first"):
        report(tmp_path, [configuration.parse("little", TOML)])
