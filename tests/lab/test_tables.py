"""The table study: its synthetic table, and one small run."""

import json

import numpy as np
import pytest

from lab.tables import baselines, maintenance, measure, training
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
    assert measure._measured(spec, task, model) > 0.6
    row = {"dataset": "wine", "privacy": "none", "mean": 1.0}
    for mean in (0.5, 0.75):
        measure.write({**row, "mean": mean}, tmp_path / "tables.json")
    measure.write({**row, "dataset": "maintenance"}, tmp_path / "tables.json")
    kept = json.loads((tmp_path / "tables.json").read_text())
    assert [(one["dataset"], one["mean"]) for one in kept] == [("maintenance", 1.0), ("wine", 0.75)]


def test_baselines_are_of_the_same_rows() -> None:
    found = baselines.central(measure.TASKS["diabetes"](0), 0)
    assert set(found) == {"boosting", "linear"}
    assert found["linear"] == pytest.approx(45, abs=10)
