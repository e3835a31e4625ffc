"""One integer per metric: against scikit-learn, by hand, and the same on every machine."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from fedpact.errors import SpecificationError
from fedpact.learning import metrics
from fedpact.learning.families import family_of
from fedpact.types.metric import Metric, MetricName
from fedpact.types.specification import Specification
from tests.support.specifications import specification

SIZES = st.tuples(st.integers(8, 60), st.integers(2, 5), st.integers(0, 2**32 - 1))


def outputs(size):
    """Random probabilities, some equal, and labels of which each occurs."""
    n, labels, seed = size
    generator = np.random.default_rng(seed)
    raw = generator.integers(1, 9, (n, labels)).astype(np.float64)
    y = generator.permutation(np.arange(n) % labels)
    return raw / raw.sum(axis=1, keepdims=True), y


def metric(name, **fields):
    return Metric(name=MetricName(name), **fields)


def scored(name, predicted, y):
    return metrics.error(metric(name), predicted, y)


@given(SIZES)
def test_classifications_are_measured_as_scikit_learn_does(size):
    predicted, y = outputs(size)
    decided, labels = predicted.argmax(axis=1), predicted.shape[1]
    rules = (metrics.balanced_labels(predicted, y), decided)
    onehot = np.eye(labels)[y]
    expected = {
        "accuracy": 1 - theirs.accuracy_score(y, decided),
        "balanced-accuracy": 1 - max(theirs.balanced_accuracy_score(y, one) for one in rules),
        "macro-f1": 1 - theirs.f1_score(y, decided, average="macro"),
        "brier": ((predicted - onehot) ** 2).sum(axis=1).mean() / 2,
        "log-loss": min(1, theirs.log_loss(y, predicted) / (2 * math.log(labels))),
        "auc": 1 - np.mean([theirs.roc_auc_score(y == k, predicted[:, k]) for k in range(labels)]),
    }
    for name, value in expected.items():
        assert scored(name, predicted, y) == pytest.approx(1e4 * value, abs=0.51), name


@given(SIZES, st.sampled_from(["usual", "certain", "near the ends"]))
def test_brier_scores_are_exact_sums_of_squares(size, kind):
    predicted, y = outputs(size)
    if kind == "certain":
        predicted = np.eye(size[1])[predicted.argmax(axis=1)]
    elif kind == "near the ends":
        generator = np.random.default_rng(size[2])
        near = generator.integers(0, 3, predicted.shape) / 2**metrics.PROBABILITY_BITS
        predicted = np.abs(generator.integers(0, 2, predicted.shape) - near)
    one = 2**metrics.PROBABILITY_BITS
    units = np.rint(predicted * one).astype(np.int64).tolist()
    squares = sum(
        (value - one * (place == label)) ** 2
        for row, label in zip(units, y.tolist(), strict=True)
        for place, value in enumerate(row)
    )
    assert metrics._brier(predicted, y) == Fraction(squares, 2 * len(y) * one * one)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_regressions_are_measured_as_scikit_learn_does(n, seed, quantile):
    generator = np.random.default_rng(seed)
    y, predicted = generator.random(n).astype(np.float32), generator.random((n, 1))
    truth = y.astype(np.float64)
    pinball = metric("pinball", quantile=quantile)
    expected = {
        metric("mae"): theirs.mean_absolute_error(truth, predicted[:, 0]),
        metric("rmse"): math.sqrt(theirs.mean_squared_error(truth, predicted[:, 0])),
        pinball: theirs.mean_pinball_loss(truth, predicted[:, 0], alpha=quantile),
    }
    for one, value in expected.items():
        assert metrics.error(one, predicted, y) == pytest.approx(1e4 * value, abs=0.51), one


def test_a_model_that_never_says_failure_wins_nothing():
    y = np.repeat([0, 1], [966, 34])
    silent = np.tile([0.966, 0.034], (1000, 1))
    found = {name: scored(name, silent, y) for name in ("accuracy", "balanced-accuracy", "auc")}
    assert found == {"accuracy": 340, "balanced-accuracy": 5000, "auc": 5000}
    knows = np.where(y[:, None] == 1, [0.8, 0.2], [0.98, 0.02])  # says 20 % where it fails
    assert scored("accuracy", knows, y) == 340
    assert scored("balanced-accuracy", knows, y) == scored("auc", knows, y) == 0


def test_extremes_of_each_scale():
    y = np.array([0, 1, 1, 0])
    right, wrong = np.eye(2)[y], np.eye(2)[1 - y]
    for name in ("accuracy", "balanced-accuracy", "macro-f1", "brier", "log-loss", "auc"):
        assert (scored(name, right, y), scored(name, wrong, y)) == (0, 10_000), name
    even = np.full((4, 2), 0.5)
    assert scored("log-loss", even, y) == 5000
    for name in ("mae", "rmse"):
        assert scored(name, np.array([[np.nan], [0.0]]), np.zeros(2, np.float32)) == 10_000


def test_the_last_bits_of_predictions_change_nothing():
    """As another machine's linear algebra would leave them."""
    generator = np.random.default_rng(3)
    y = generator.integers(0, 3, 500)
    raw = generator.random((500, 3))
    predicted = raw / raw.sum(axis=1, keepdims=True)
    other = np.nextafter(predicted, generator.integers(0, 2, predicted.shape).astype(float))
    for name in ("accuracy", "balanced-accuracy", "macro-f1", "brier", "log-loss", "auc"):
        assert scored(name, predicted, y) == scored(name, other, y), name


def test_the_order_of_the_examples_changes_nothing():
    predicted, y = outputs((200, 4, 1))
    order = np.random.default_rng(0).permutation(200)
    for name in ("brier", "log-loss", "auc", "macro-f1"):
        assert scored(name, predicted, y) == scored(name, predicted[order], y[order])


def test_labels_that_do_not_occur_are_neither_decided_for_nor_counted():
    y = np.array([0, 0, 1])
    predicted = np.array([[0.2, 0.1, 0.7], [0.3, 0.1, 0.6], [0.0, 0.1, 0.9]])
    assert metrics.balanced_labels(predicted, y).tolist() == [0, 0, 1]
    assert scored("balanced-accuracy", predicted, y) == 0
    assert scored("auc", np.eye(2)[[0, 0]], np.zeros(2, np.int64)) == 5000


def test_a_model_that_learnt_from_even_labels_is_not_blamed_for_skewed_ones():
    """Divided by shares of 0.8 and 0.2 its probabilities would always name the rare label."""
    y = np.repeat([0, 1], [8, 2])
    predicted = np.where(np.eye(2)[y] == 1, 0.6, 0.4)
    assert set(metrics.balanced_labels(predicted, y)) == {1}
    assert scored("balanced-accuracy", predicted, y) == 0


def test_examples_of_a_rare_label_weigh_more_in_contributions():
    y = np.repeat([0, 1], [9, 1])
    predicted = np.full((10, 2), 0.5)
    plain = metrics.example_errors(metric("accuracy"), predicted, y)
    even = metrics.example_errors(metric("auc"), predicted, y)
    assert plain.tolist() == [plain[0]] * 10
    assert even[:9].sum() == pytest.approx(even[9])
    assert even.sum() == pytest.approx(plain.sum())


def test_contributions_follow_the_metric_of_a_regression():
    predicted, y = np.array([[0.5], [3.0]]), np.array([0.0, 0.0], np.float32)
    assert metrics.example_errors(metric("mae"), predicted, y).tolist() == [0.5, 1.0]
    assert metrics.example_errors(metric("rmse"), predicted, y).tolist() == [0.25, 1.0]
    high = metrics.example_errors(metric("pinball", quantile=0.9), predicted, y)
    assert high == pytest.approx([0.05, 0.3])


def test_a_specification_names_its_metric_and_votes_use_it():
    spec = specification(metric="brier")
    family = family_of(spec)
    model = family.initial(spec, 0)  # all labels alike
    x, y = np.zeros((3, 2), np.float32), np.array([0, 1, 2])
    assert family.error(spec, model, x, y) == 3333  # (4/9 + 1/9 + 1/9) / 2
    assert Specification.decode(spec.encode()) == spec
    assert b'"metric":"brier"' in spec.encode()


def test_a_specification_without_a_metric_has_the_bytes_of_before():
    assert b"metric" not in specification().encode()
    assert specification().measure.name == "accuracy"


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("mae", "metric mae is for a regression"),
        ("pinball", "metric pinball needs a quantile"),
        ({"name": "auc", "quantile": 0.5}, "metric auc has no quantile"),
        ("recall", "metric"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(metric, said):
    with pytest.raises(SpecificationError, match=said):
        specification(metric=metric)
