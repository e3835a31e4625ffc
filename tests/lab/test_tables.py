"""The table study: its synthetic table, and one small run."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.public_networks.command import STUDY as PUBLIC_NETWORKS
from lab.tables import baselines, maintenance, measure, proposals, training
from lab.tables.command import STUDY
from lab.tables.tasks import PROVIDERS, failures
from lab.tables.training import Step


def test_the_maintenance_table_is_what_its_page_says() -> None:
    found = maintenance.rows(3333, 0)
    assert 0.03 < found.failed.mean() < 0.07
    for column, values in zip(maintenance.COLUMNS, found.values, strict=True):
        known = values[np.isfinite(values)]
        low, high = column.limits
        assert np.mean((low <= known) & (known <= high)) > 0.99  # others count as the nearer end
        assert (len(known) < len(values)) == (column.missing == "indicator")
    again = maintenance.rows(3333, 0)
    assert np.array_equal(found.failed, again.failed)


def test_each_plant_is_a_provider_and_no_row_is_used_twice() -> None:
    task = failures(0)
    assert len(task.parts) == PROVIDERS
    every = np.concatenate([task.training.x, task.evaluation.x, task.test.x])
    assert len(every) == 3 * 3333
    # Temperatures are real numbers: no two rows have all of theirs in common.
    assert len(np.unique(every, axis=0)) == len(every)
    shares = [np.mean(part.x[:, 0]) for part in task.parts]  # of quality L
    assert shares[1] > shares[0] > shares[2]


def test_a_small_run_beats_guessing_and_is_kept_in_its_file(tmp_path, monkeypatch) -> None:
    small = Step(trees=16, steps=1, rate=100.0, clipping=0.3)
    task = failures(0)
    spec = training.specification(task, 8.0, small)
    assert spec.measure.name == "auc"
    model = training.federated(spec, task, 0)
    assert measure.measured(spec, task, model) > 0.6
    row = {"dataset": "wine", "privacy": "none", "mean": 1.0}
    for mean in (0.5, 0.75):
        measure.write({**row, "mean": mean}, tmp_path / "tables.json")
    measure.write({**row, "dataset": "maintenance"}, tmp_path / "tables.json")
    kept = json.loads((tmp_path / "tables.json").read_text())
    assert [(one["dataset"], one["mean"]) for one in kept] == [("maintenance", 1.0), ("wine", 0.75)]


def test_proposals_are_compared_with_what_the_providers_reach() -> None:
    rows = json.loads(Path("docs/results/table-proposals.json").read_text())
    for row in rows:
        assert row["proposed"] == min(row["estimated_errors"], key=row["estimated_errors"].get)
        assert row["best"] == max(row["reached"], key=row["reached"].get)
    said: list[str] = []
    assert not list(proposals.rows(["diabetes", "wine"], [0], said.append))
    assert len(said) == 1  # values have one candidate alone
    assert "wine, seed 0: evaluation set: 18 examples: what to expect is estimated from" in said[0]


def test_the_study_is_complete_with_every_row_of_every_seed(tmp_path) -> None:
    file = tmp_path / "tables.json"
    state = STUDY.state
    assert state(tmp_path) == "not run: python -m lab tables"
    every = [(name, epsilon) for name in measure.TASKS for epsilon in measure.EPSILONS]
    for name, epsilon in every:
        row = {"dataset": name, "privacy": "sound" if epsilon else "none", "epsilon": epsilon}
        measure.write({**row, "seeds": len(measure.SEEDS)}, file)
        assert (state(tmp_path) == "complete") == ((name, epsilon) == every[-1])
    measure.write({**row, "seeds": 1}, file)
    expected = f"1 row not run ({every[-1][0]} without privacy): python -m lab tables"
    assert state(tmp_path) == expected


def test_a_study_of_two_data_sets_is_incomplete_with_one(tmp_path) -> None:
    rows = json.loads(Path("docs/results/public-features.json").read_text())
    file = tmp_path / "public-features.json"
    file.write_text(json.dumps(rows))
    assert PUBLIC_NETWORKS.state(tmp_path) == "complete"
    texts = [row for row in rows if row["dataset"] == "20newsgroups"]
    file.write_text(json.dumps(texts))
    state = PUBLIC_NETWORKS.state(tmp_path)
    assert state.startswith("4 rows not run (accuracy of cifar10 at epsilon 1, ")


def test_baselines_are_of_the_same_rows() -> None:
    found = baselines.central(measure.TASKS["diabetes"](0), 0)
    assert set(found) == {"boosting", "linear"}
    assert found["linear"] == pytest.approx(45, abs=10)
