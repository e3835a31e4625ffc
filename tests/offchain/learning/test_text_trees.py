import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fedpact.errors import DataError, InvalidInput, ModelError, PrivacyError
from fedpact.learning.artefact import Template, decode, encode
from fedpact.learning.trees import training
from fedpact.learning.trees.ensemble import LARGEST, Ensemble, empty, template, union
from fedpact.learning.trees.random_splits import RandomForestLayout, noised_counts, voting
from fedpact.learning.trees.training import Growth
from fedpact.privacy.linear_sums import softmax_probabilities
from fedpact.privacy.noise import SeededNoise
from lab.texts.algorithm_one import BoostingParticipant, PaperNoise, algorithm_one

LABELS, WIDTH = 3, 20
GROWTH = Growth(depth=4, features=0.5)
Data = tuple[sparse.csr_matrix, NDArray[np.int64]]


def documents(count: int, seed: int) -> Data:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, LABELS, count)
    rows = generator.random((count, WIDTH)) * (generator.random((count, WIDTH)) < 0.3)
    rows[np.arange(count), y] += generator.random(count)
    rows[np.arange(count), y + LABELS] += generator.random(count)
    return sparse.csr_matrix(rows.astype(np.float32)), y


def accuracy(model: Ensemble, data: Data) -> float:
    return float((model.output(data[0]).argmax(axis=1) == data[1]).mean())


def stump(value: float) -> Ensemble:
    """A tree: x_1 > 0.5 gives (value, 0), else (0, value)."""
    leaves = np.array([[[0.0, value], [value, 0.0]]], dtype=np.float32)
    return Ensemble(np.array([[1]]), np.array([[0.5]], dtype=np.float32), leaves)


def test_a_stump_by_hand() -> None:
    rows = sparse.csr_matrix(np.array([[9.0, 0.5], [0.0, 0.6]], dtype=np.float32))
    np.testing.assert_array_equal(stump(2.0).output(rows), [[0, 2], [2, 0]])


def test_a_union_by_hand_is_the_weighted_sum_of_outputs() -> None:
    rows = sparse.csr_matrix(np.array([[0.0, 1.0]], dtype=np.float32))
    both = union([stump(2.0), stump(4.0)], [0.5, 0.25])
    assert both.trees == 2
    np.testing.assert_array_equal(both.output(rows), [[2, 0]])


def test_an_empty_ensemble_outputs_zero() -> None:
    rows, _ = documents(3, 0)
    np.testing.assert_array_equal(empty(2, LABELS).output(rows), np.zeros((3, LABELS)))


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_a_grown_tree_predicts_as_scikit_learn_does(seed: int) -> None:
    rows, y = documents(80, seed)
    ours = training.decision_tree(rows, y, LABELS, GROWTH, seed)
    theirs = DecisionTreeClassifier(max_depth=4, min_samples_leaf=2, random_state=seed)
    expected = np.zeros((80, LABELS))
    fitted = theirs.fit(rows, y)
    expected[:, fitted.classes_] = fitted.predict_proba(rows)
    np.testing.assert_allclose(ours.output(rows), expected, atol=1e-6)


def test_a_forest_predicts_as_scikit_learn_does() -> None:
    rows, y = documents(200, 1)
    ours = training.random_forest(rows, y, LABELS, 7, GROWTH, 3)
    theirs = RandomForestClassifier(
        n_estimators=7, max_depth=4, min_samples_leaf=2, max_features=0.5, random_state=3
    ).fit(rows, y)
    np.testing.assert_allclose(ours.output(rows), theirs.predict_proba(rows), atol=1e-5)


def test_a_provider_of_one_class_grows_a_tree_all_the_same() -> None:
    rows, y = documents(10, 2)
    ours = training.decision_tree(rows, np.full_like(y, 1), LABELS, GROWTH, 0)
    np.testing.assert_array_equal(ours.output(rows), np.eye(LABELS)[np.ones(10, int)])


def test_boosting_continues_from_a_received_model() -> None:
    data = documents(300, 4)
    first = training.boost(empty(4, LABELS), *data, LABELS, 5, GROWTH, 0)
    more = training.boost(first, *data, LABELS, 5, GROWTH, 1)
    both = union([first, more], [1.0, 1.0])

    def loss(model: Ensemble) -> float:
        likely = softmax_probabilities(model.output(data[0]))
        return -float(np.log(likely[np.arange(300), data[1]]).mean())

    assert loss(both) < loss(first) < math.log(LABELS)


def test_the_first_newton_step_by_hand() -> None:
    # Two classes, p = 1/2 each. Left of the split 3 of class 0: r = (3/2, -3/2),
    # sum p (1 - p) = 3/4; value = 1/2 * (3/2) / (3/4 + 1) = 3/7, times the rate.
    rows = sparse.csr_matrix(np.array([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]], np.float32))
    grown = training.boost(
        empty(1, 2), rows, np.array([0, 0, 0, 1, 1, 1]), 2, 1, Growth(1, 1, 1.0, 0.5), 0
    )
    left, right = grown.value[0]
    np.testing.assert_allclose(left, [0.5 * 3 / 7, -0.5 * 3 / 7], rtol=1e-6)
    np.testing.assert_allclose(right, -left)


def test_the_first_step_of_a_regression_by_hand() -> None:
    # Left of the split three values of 2, right one of 1: the leaf values are
    # sum r / (n + 1) = 6/4 and 1/2, times the rate. What is left is 2 - 3/4 and 1 - 1/4: the next
    # step adds half of 3 * 1.25 / 4 and of 0.75 / 2.
    rows = sparse.csr_matrix(np.array([[0.0], [0.0], [0.0], [1.0]], np.float32))
    y = np.array([2.0, 2.0, 2.0, 1.0])
    grown = training.boost(empty(1, 1), rows, y, None, 2, Growth(1, 1, 1.0, 0.5), 0)
    np.testing.assert_allclose(grown.value[0], [[0.75], [0.25]])
    np.testing.assert_allclose(grown.value[1], [[0.46875], [0.1875]])
    np.testing.assert_allclose(grown.output(rows)[[0, 3], 0], [1.21875, 0.4375])


@pytest.mark.parametrize("trees", [1, 12])
def test_grown_values_are_scikit_learns(trees: int) -> None:
    rows, classes = documents(200, 3)
    y = classes + rows.toarray()[:, 0].astype(np.float64)
    growth = Growth(depth=4, least_in_leaf=2, features=0.5)
    if trees == 1:
        ours = training.decision_tree(rows, y, None, growth, 5)
        theirs = DecisionTreeRegressor(max_depth=4, min_samples_leaf=2, random_state=5)
    else:
        ours = training.random_forest(rows, y, None, trees, growth, 5)
        theirs = RandomForestRegressor(
            trees, max_depth=4, min_samples_leaf=2, max_features=0.5, random_state=5
        )
    np.testing.assert_allclose(ours.output(rows)[:, 0], theirs.fit(rows, y).predict(rows), 1e-5)


def test_a_value_that_is_not_finite_grows_no_tree() -> None:
    rows, _ = documents(4, 3)
    with pytest.raises(DataError, match="1 of 4 values are not finite"):
        training.decision_tree(rows, np.array([1.0, 2.0, np.nan, 3.0]), None, GROWTH, 0)


def test_trees_survive_their_bytes() -> None:
    rows, y = documents(100, 5)
    forest = training.random_forest(rows, y, LABELS, 3, GROWTH, 0)
    fits: Template = template(3, 4, LABELS)
    back = Ensemble.of(decode(encode(forest.model()), fits), WIDTH)
    np.testing.assert_array_equal(back.output(rows), forest.output(rows))
    assert back.threshold.max() <= LARGEST


@pytest.mark.parametrize("feature", [-1.0, 2.0, 0.5])
def test_a_model_with_a_feature_outside_the_rows_is_refused(feature: float) -> None:
    model = stump(1.0).model() | {"feature": np.array([[feature]], np.float32)}
    with pytest.raises(ModelError, match="feature"):
        Ensemble.of(model, 2)


def test_unlike_trees_have_no_union() -> None:
    with pytest.raises(ModelError, match="depths"):
        union([stump(1.0), empty(2, 2)], [1.0, 1.0])
    with pytest.raises(ModelError, match="0 ensembles"):
        union([], [])


LAYOUT = RandomForestLayout(trees=20, depth=3, labels=LABELS, seed=7)
CHANCES = np.ones(WIDTH)


def test_random_splits_follow_from_the_seed_alone_and_repeat_no_feature_on_a_path() -> None:
    splits = LAYOUT.splits(CHANCES)
    np.testing.assert_array_equal(splits.feature, LAYOUT.splits(CHANCES).feature)
    for tree in splits.feature:
        for leaf in range(7, 15):
            path, node = [], leaf
            while node > 0:
                node = (node - 1) // 2
                path.append(tree[node])
            assert len(set(path)) == 3


def test_one_document_counts_once_in_every_tree() -> None:
    rows, y = documents(1, 0)
    counts = noised_counts(LAYOUT, LAYOUT.splits(CHANCES), rows, y).value
    assert counts.sum() == LAYOUT.trees
    assert np.linalg.norm(counts) == pytest.approx(LAYOUT.sensitivity)


def test_the_noise_of_counts_has_the_stated_deviation() -> None:
    layout = RandomForestLayout(trees=100, depth=5, labels=LABELS, seed=1)
    rows, y = documents(1, 0)
    splits = layout.splits(CHANCES)
    exact = noised_counts(layout, splits, rows, y).value
    noised = noised_counts(
        layout, splits, rows, y, noise_multiplier=2.0, noise=SeededNoise(1)
    ).value
    assert layout.noise_std(2.0) == pytest.approx(20.0)
    assert (noised - exact).std() == pytest.approx(20.0, rel=0.03)


def test_without_noise_a_sound_forest_is_the_same_for_any_sharding_and_learns() -> None:
    layout = RandomForestLayout(trees=80, depth=3, labels=LABELS, seed=7)
    rows, y = documents(600, 8)
    splits = layout.splits(CHANCES)
    whole = voting(layout, [noised_counts(layout, splits, rows, y)], 0.0)
    parts = [noised_counts(layout, splits, rows[part::2], y[part::2]) for part in (0, 1)]
    assert encode(voting(layout, parts, 0.0).model()) == encode(whole.model())
    assert accuracy(whole, documents(300, 9)) > 0.8


def test_what_does_not_fit_a_sound_forest_is_refused() -> None:
    rows, y = documents(2, 0)
    splits = LAYOUT.splits(CHANCES)
    with pytest.raises(PrivacyError):
        noised_counts(LAYOUT, splits, rows, y, noise_multiplier=1.0)
    with pytest.raises(DataError):
        noised_counts(LAYOUT, splits, rows[:0], y[:0])
    with pytest.raises(ModelError, match=r"at least . features"):
        LAYOUT.splits(np.eye(WIDTH)[0])
    with pytest.raises(ModelError, match="no forests"):
        voting(LAYOUT, [], 0.0)


def participants(noise: PaperNoise | None = None) -> list[BoostingParticipant]:
    rows, y = documents(300, 10)
    return [
        BoostingParticipant(
            rows[part::3], y[part::3], LABELS, trees=2, growth=GROWTH, seed=part, noise=noise
        )
        for part in range(3)
    ]


@pytest.mark.parametrize("reading", ["parallel", "sequential"])
def test_algorithm_one_stops_when_the_accuracy_is_reached(reading: str) -> None:
    test = documents(300, 11)
    found = algorithm_one(
        participants(),
        empty(4, LABELS),
        lambda model: accuracy(model, test),
        reading=reading,  # type: ignore[arg-type]
        threshold=0.85,
        iterations=20,
    )
    *before, last = found.progress
    assert found.reached
    assert last.accuracy >= 0.85
    assert all(one.accuracy < 0.85 for one in before)
    assert found.model.trees == 6 * len(found.progress)


def test_in_parallel_the_model_gains_the_mean_of_what_all_add() -> None:
    rows, _ = documents(20, 12)
    found = algorithm_one(
        participants(),
        empty(4, LABELS),
        lambda _: 0.0,
        reading="parallel",
        threshold=1.0,
        iterations=1,
    )
    added = [one.construct(empty(4, LABELS), 0).output(rows) for one in participants()]
    np.testing.assert_allclose(found.model.output(rows), sum(added) / 3, atol=1e-6)


def test_in_sequence_each_trains_on_from_the_one_before() -> None:
    found = algorithm_one(
        participants(),
        empty(4, LABELS),
        lambda _: 0.0,
        reading="sequential",
        threshold=1.0,
        iterations=1,
    )
    first, second, _ = participants()
    model = first.construct(empty(4, LABELS), 0)
    second_added = second.construct(model, 0)
    np.testing.assert_array_equal(found.model.value[:2], model.value)
    np.testing.assert_array_equal(found.model.value[2:4], second_added.value)


def test_algorithm_one_stops_when_the_time_is_used_up() -> None:
    ticks = iter(range(100))
    found = algorithm_one(
        participants(),
        empty(4, LABELS),
        lambda _: 0.0,
        reading="parallel",
        threshold=1.0,
        iterations=50,
        seconds=3.0,
        clock=lambda: float(next(ticks)),
    )
    assert len(found.progress) == 3
    assert not found.reached


def test_the_papers_noise_is_drawn_once_for_the_vectors_and_ruins_the_model() -> None:
    test = documents(300, 11)
    noisy = participants(PaperNoise(epsilon=1.0))
    one = noisy[0].construct(empty(4, LABELS), 0)
    again = noisy[0].construct(empty(4, LABELS), 0)
    np.testing.assert_array_equal(one.threshold, again.threshold)
    assert (one.value != again.value).all()
    assert accuracy(one, test) < 0.7


def test_nobody_and_no_time_are_refused() -> None:
    with pytest.raises(InvalidInput):
        algorithm_one([], empty(1, 2), lambda _: 0, reading="parallel", threshold=1, iterations=1)
    with pytest.raises(InvalidInput):
        algorithm_one(
            participants(), empty(4, 3), lambda _: 0, reading="parallel", threshold=1, iterations=0
        )
