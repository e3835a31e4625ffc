import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError, ModelError, PrivacyError
from fedpact.learning import text_statistics
from fedpact.learning.artefact import decode, encode
from fedpact.learning.discriminant import Constants, Discriminant, solve
from fedpact.learning.text_statistics import (
    FRACTION,
    Statistics,
    StatisticsLayout,
    release,
    release_of_blocks,
)
from fedpact.privacy.noise import SeededNoise

LABELS, WORDS, DENSE = 3, 32, 4
LAYOUT = StatisticsLayout(LABELS, WORDS)
BOTH = StatisticsLayout(LABELS, WORDS, DENSE)
FREQUENCIES = np.geomspace(1e-7, 1e-2, WORDS)


def documents(
    count: int, seed: int
) -> tuple[sparse.csr_matrix, NDArray[np.int64], NDArray[np.float32]]:
    """Rows of norm 1, each class with words and a direction of its own."""
    generator = np.random.default_rng(seed)
    y = np.arange(count, dtype=np.int64) % LABELS
    words = generator.random((count, WORDS)) * (generator.random((count, WORDS)) < 0.3)
    words[np.arange(count), y] += 0.8
    dense = generator.normal(size=(count, DENSE))
    dense[np.arange(count), y] += 2
    return (
        sparse.csr_matrix(words / np.linalg.norm(words, axis=1, keepdims=True), dtype=np.float32),
        y,
        (dense / np.linalg.norm(dense, axis=1, keepdims=True)).astype(np.float32),
    )


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(0, 1_000))
def test_without_noise_the_model_is_the_same_bytes_for_any_sharding(parts: int, seed: int) -> None:
    words, y, dense = documents(40, seed)
    whole = release(BOTH, words, y, dense).model()
    owner = np.random.default_rng(seed).integers(0, parts, 40)
    models = {
        seat: release(BOTH, words[owner == seat], y[owner == seat], dense[owner == seat]).model()
        for seat in range(parts)
        if (owner == seat).any()
    }
    assert encode(text_statistics.combine(BOTH, models, 0.0).model()) == encode(whole)


def test_a_release_read_block_by_block_is_the_same_bytes_noise_and_all() -> None:
    words, y, dense = documents(40, 3)

    def released(sizes: list[int]) -> bytes:
        ends = np.cumsum([0, *sizes])
        blocks = [
            (words[start:end], y[start:end], dense[start:end])
            for start, end in itertools.pairwise(ends)
        ]
        noise = SeededNoise(5)
        return encode(release_of_blocks(BOTH, blocks, noise_multiplier=0.7, noise=noise).model())

    assert released([40]) == released([1, 19, 7, 13])


def test_a_release_of_no_blocks_is_refused() -> None:
    with pytest.raises(DataError, match="no documents"):
        release_of_blocks(LAYOUT, [])


def test_sums_by_hand() -> None:
    rows = sparse.csr_matrix(np.array([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]], np.float32))
    found = release(StatisticsLayout(2, 2), rows, np.array([0, 0, 1]))
    np.testing.assert_array_equal(found.counts, [2, 1])
    np.testing.assert_allclose(found.words, [[1.6, 0.8], [0.0, 1.0]], atol=4e-6)
    np.testing.assert_array_equal(found.words / FRACTION % 1, 0)


@pytest.mark.parametrize(
    ("layout", "removed", "replaced"),
    [
        # 1 + 0.04; two of other classes.
        (StatisticsLayout(2, 8, count_weight=0.2), math.sqrt(1.04), math.sqrt(2.08)),
        # 1 + 0.04 + 0.64; two of one class, dense rows opposite: 2 + 4 * 0.64.
        (
            StatisticsLayout(2, 8, 4, count_weight=0.2, dense_weight=0.8),
            math.sqrt(1.68),
            math.sqrt(4.56),
        ),
    ],
)
def test_sensitivities_by_hand(layout: StatisticsLayout, removed: float, replaced: float) -> None:
    assert layout.sensitivity == pytest.approx(removed)
    assert layout.replacement_sensitivity == pytest.approx(replaced)


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_no_document_moves_the_release_by_more_than_the_sensitivity(seed: int) -> None:
    def vector(number: int) -> NDArray[np.float64]:
        one = slice(number, number + 1)
        found = release(BOTH, words[one], y[one], dense[one])
        return np.concatenate(
            [
                found.words.reshape(-1),
                found.counts * BOTH.count_weight,
                found.dense.reshape(-1) * BOTH.dense_weight,
            ]
        )

    words, y, dense = documents(2 * LABELS, seed)
    first, *others = [vector(number) for number in range(len(y))]
    assert np.linalg.norm(first) <= BOTH.sensitivity
    assert all(np.linalg.norm(first - one) <= BOTH.replacement_sensitivity for one in others)


def test_the_noise_has_the_stated_deviation_in_every_part() -> None:
    layout = StatisticsLayout(LABELS, 4_000, 500)
    words = sparse.csr_matrix((3, 4_000), dtype=np.float32)
    dense = np.zeros((3, 500), np.float32)
    found = release(layout, words, np.arange(3), dense, noise_multiplier=2.0, noise=SeededNoise(1))
    std = 2.0 * layout.sensitivity
    assert layout.noise_std(2.0) == pytest.approx(std)
    assert found.words.std() == pytest.approx(std, rel=0.03)
    assert found.dense.std() == pytest.approx(std / layout.dense_weight, rel=0.06)
    np.testing.assert_allclose(found.variance, std**2, rtol=1e-6)


def test_a_release_survives_its_bytes_exactly() -> None:
    words, y, dense = documents(30, 1)
    found = release(BOTH, words, y, dense)
    back = Statistics.of(decode(encode(found.model()), BOTH.template))
    np.testing.assert_array_equal(back.words, found.words)
    np.testing.assert_array_equal(back.dense, found.dense)


def test_a_provider_without_documents_of_a_class_adds_little_noise_to_it() -> None:
    words, y, _ = documents(3_000, 3)
    mine = y == 0
    models = {
        seat: release(
            LAYOUT, words[part], y[part], noise_multiplier=2.0, noise=SeededNoise(seat)
        ).model()
        for seat, part in enumerate((mine, ~mine))
    }
    variance = text_statistics.combine(LAYOUT, models, 2.0).variance
    np.testing.assert_allclose(variance, LAYOUT.noise_std(2.0) ** 2, rtol=0.01)


def test_the_discriminant_tells_the_classes_apart_and_gives_probabilities() -> None:
    words, y, dense = documents(600, 5)
    found = solve(BOTH, release(BOTH, words, y, dense), FREQUENCIES)
    fresh_words, fresh_y, fresh_dense = documents(90, 6)
    probabilities = found.predict(fresh_words, fresh_dense)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == fresh_y).mean() > 0.95


def test_a_class_that_is_all_noise_says_nothing() -> None:
    words, y, _ = documents(300, 7)
    some = y != 2
    noised = release(LAYOUT, words[some], y[some], noise_multiplier=0.5, noise=SeededNoise(2))
    found = solve(LAYOUT, noised, FREQUENCIES)
    strength = np.linalg.norm(found.words, axis=1)
    assert strength[2] < 0.35 * strength[:2].min()


def test_one_class_alone_and_one_document_can_be_solved() -> None:
    words, y, _ = documents(1, 8)
    found = solve(LAYOUT, release(LAYOUT, words, y), FREQUENCIES)
    assert np.isfinite(found.predict(words)).all()


def test_a_dense_part_that_is_missing_is_refused() -> None:
    with pytest.raises(ModelError, match="dense part"):
        Discriminant(np.zeros((2, 3)), np.zeros((2, 1)), np.zeros(2)).predict(
            sparse.csr_matrix((1, 3))
        )


@pytest.mark.parametrize(
    ("rows", "y", "what"),
    [
        (0, [], "no documents"),
        (2, [0], "word rows"),
        (1, [3], "classes 3 to 3 of 3"),
        (1, [-1], "classes -1"),
    ],
)
def test_documents_that_do_not_fit_are_refused(rows: int, y: list[int], what: str) -> None:
    with pytest.raises(DataError, match=what):
        release(LAYOUT, sparse.csr_matrix((rows, WORDS)), np.array(y, dtype=np.int64))


def test_noise_without_a_source_is_refused() -> None:
    words, y, _ = documents(3, 0)
    with pytest.raises(PrivacyError, match="no source"):
        release(LAYOUT, words, y, noise_multiplier=1.0)


def test_the_cost_is_that_of_one_gaussian() -> None:
    spent = text_statistics.cost(LAYOUT, 3.7306, 1e-5)
    assert spent.epsilon == pytest.approx(1.0, abs=1e-3)
    assert spent.epsilon < spent.epsilon_replacement < 2 * spent.epsilon


def test_dense_scores_are_tempered_less_where_their_sums_drown_in_noise():
    layout = StatisticsLayout(2, 32, 3)
    sums = np.array([[40.0, 0.0, 10.0], [0.0, 40.0, 10.0]])
    words = np.abs(np.random.default_rng(0).normal(5, 1, (2, 32)))
    counts = np.array([50.0, 50.0])

    def factor(variance: float) -> float:
        """Of the tempered scores over the others."""
        found = Statistics(counts, np.full(2, variance), words, sums)
        tempered = Constants(dense_sharpness=0.5, noised_dense_sharpness=1.0)
        frequencies = np.full(32, 1e-3)
        plain = solve(layout, found, frequencies).dense
        return float((solve(layout, found, frequencies, tempered).dense / plain)[0, 0])

    assert factor(0.0) == pytest.approx(0.5)
    assert 0.5 < factor(50.0) < factor(100.0) < 1.5
