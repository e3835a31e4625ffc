"""Calibrated probabilities and thresholds from the requester's own evaluation set."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as theirs

from fedpact.data.dataset import Dataset
from fedpact.errors import ModelError
from fedpact.learning.artefact import Model, encode
from fedpact.learning.families import family_of
from fedpact.requester import model_file
from fedpact.requester.answer import answer_file
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.thresholds import Decisions, fitted
from fedpact.types.specification import Specification
from tests.offchain.requester.requests_of_digits import draft

MODEL: Model = {
    "output.weight": np.array([[0, 0], [4, 0]], dtype=np.float32),
    "output.bias": np.zeros(2, dtype=np.float32),
}
"""Says that a positive first value fails, and says so four times too surely."""


def spec_of(metric: str = "balanced-accuracy", **changes) -> Specification:
    features = {"shape": [2], "columns": ["a", "b"]}
    return draft(
        labels=["works", "fails"], metric=metric, features=features, **changes
    ).specification


def failures(count: int, seed: int) -> Dataset:
    """About 4 % fail, with probability 1 / (1 + exp(4 - a))."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(count, 2)).astype(np.float32)
    y = generator.random(count) < 1 / (1 + np.exp(4 - x[:, 0]))
    return Dataset(x, y.astype(np.int64), ())


def test_probabilities_become_right_and_the_threshold_serves_the_metric() -> None:
    spec, test = spec_of(), failures(20_000, 1)
    found = fitted(spec, MODEL, failures(3_000, 0))
    assert found is not None
    assert found.threshold is not None
    assert found.slope == pytest.approx(0.25, abs=0.08)
    raw = family_of(spec).predict(spec, MODEL, test.x)
    p = found.calibrated(raw)[:, 1]
    fails = found.labels(found.calibrated(raw)) == 1
    assert p.mean() == pytest.approx(test.y.mean(), abs=0.012)  # 0.5 before
    assert found.threshold < 0.1
    balanced = theirs.balanced_accuracy_score
    assert balanced(test.y, fails) >= balanced(test.y, raw.argmax(axis=1)) - 0.02
    at_a_half = p > 0.5
    assert balanced(test.y, fails) > balanced(test.y, at_a_half) + 0.1
    assert theirs.log_loss(test.y, p) < 0.2


@pytest.mark.parametrize("metric", ["accuracy", "macro-f1", "auc"])
def test_each_metric_gets_the_decisions_that_serve_it(metric: str) -> None:
    part = failures(3_000, 2)
    spec = spec_of(metric)
    found = fitted(spec, MODEL, part)
    assert found is not None
    raw = family_of(spec).predict(spec, MODEL, part.x)
    fails = found.labels(found.calibrated(raw)) == 1
    if metric == "accuracy":
        assert fails.mean() < 0.01
    elif metric == "macro-f1":
        score = theirs.f1_score(part.y, fails, average="macro")
        p = found.calibrated(np.array([[0.5, 0.5]]))
        assert p.sum() == pytest.approx(1)
        assert score > theirs.f1_score(part.y, np.zeros(len(part)), average="macro") + 0.02
    else:
        assert fails.mean() > 0.1  # skewed labels: balanced accuracy decides


def test_several_labels_are_weighed_by_their_shares_where_that_helps() -> None:
    generator = np.random.default_rng(0)
    y = generator.choice(3, 3_000, p=[0.9, 0.07, 0.03])
    x = (generator.normal(size=(3_000, 2)) + np.array([[0, 0], [2, 0], [0, 2]])[y]).astype("<f4")
    model: Model = {
        "output.weight": np.array([[0, 0], [2, 0], [0, 2]], dtype=np.float32),
        "output.bias": np.array([0, -4, -5], dtype=np.float32),
    }
    part = Dataset(x, y, ())
    features = {"shape": [2]}
    for metric, alike in (("accuracy", True), ("balanced-accuracy", False)):
        found = fitted(draft(metric=metric, features=features).specification, model, part)
        assert found is not None
        assert (found.factors == (1.0,) * 3) is alike


def test_a_small_set_or_a_regression_fits_nothing() -> None:
    part = failures(100, 0)
    few = Dataset(part.x, np.arange(100) // 95, ())
    assert fitted(spec_of(), MODEL, few) is None
    values = draft(
        task="regression",
        labels=[],
        output={"column": "y", "scale": 1.0},
        family={"name": "linear-regression"},
    ).specification
    assert fitted(values, MODEL, part) is None


def test_decisions_stay_beside_the_model(tmp_path: Path) -> None:
    spec, found = spec_of(), Decisions(0.25, (0.1, -0.1), (0.04, 0.96), 3_000)
    path = tmp_path / "model.safetensors"
    given = FetchedModel(1, "00", spec, "bafy", 3, 120, ("0x0",), path, found)
    model_file.write(given.path, encode(MODEL), given.facts())
    assert model_file.decisions(path, 2) == found
    assert json.loads(model_file.facts_path(path).read_text())["decisions"]["threshold"] == 0.04
    (tmp_path / "q.csv").write_text("a,b\n-4,0\n0,0\n")
    assert answer_file(path, tmp_path / "q.csv").labels == ["works", "fails"]
    with pytest.raises(ModelError, match="not for 3 labels"):
        model_file.decisions(path, 3)
    facts = json.loads(model_file.facts_path(path).read_text())
    model_file.facts_path(path).write_text(json.dumps({**facts, "decisions": {"slope": 1}}))
    with pytest.raises(ModelError, match="no decisions"):
        answer_file(path, tmp_path / "q.csv")
