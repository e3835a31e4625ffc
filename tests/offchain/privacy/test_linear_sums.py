"""Clipped sums over fixed features: against plain formulas, and their sensitivity in floats."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedpact.errors import DataError, PrivacyError
from fedpact.privacy.linear_sums import (
    BLOCK,
    ROUNDING_MARGIN,
    CentredFeatures,
    feature_sum,
    noised,
    softmax_gradient_sum,
)
from fedpact.privacy.noise import SeededNoise, SystemNoise


def example_gradients(
    x: NDArray[np.float64], weights: NDArray[np.float64], y: NDArray[np.int64]
) -> NDArray[np.float64]:
    """One gradient an example, (n, labels, d), by the definition."""
    logits = x @ weights.T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p[:, :, None] * x[:, None, :]


def drawn(n: int, seed: int = 0) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, 7)).astype(np.float16) / 3, generator.integers(0, 3, n)


def weights_of(seed: int, scale: float = 1.0) -> NDArray[np.float32]:
    return (scale * np.random.default_rng(seed).normal(size=(3, 7))).astype(np.float32)


def centre_of(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=7).astype(np.float32) / 5


@pytest.mark.parametrize("norm", [0.05, 0.5, 100.0])
def test_the_sum_is_that_of_the_clipped_gradients(norm: float) -> None:
    x, y = drawn(2 * BLOCK + 5)
    weights, centre = weights_of(1), centre_of(2)
    each = example_gradients(x.astype(np.float64) - centre, weights.astype(np.float64), y)
    norms = np.linalg.norm(each.reshape(len(y), -1), axis=1)
    expected = (each * np.minimum(1, norm / norms)[:, None, None]).sum(axis=0)
    found = softmax_gradient_sum(CentredFeatures.of(x, centre), weights, y, norm)
    assert np.abs(found - expected).max() < 2 * ROUNDING_MARGIN * np.abs(each).sum()


def test_one_example_by_hand() -> None:
    # Logits 0, 0: p = 1/2, 1/2. Label 0: error (-1/2, 1/2). x - centre = (3, 4).
    x = np.array([[4, 5]], dtype=np.float16)
    features = CentredFeatures.of(x, np.array([1, 1], dtype=np.float32))
    assert features.norms == pytest.approx([5.0])
    y, weights = np.array([0]), np.zeros((2, 2), dtype=np.float32)
    free = softmax_gradient_sum(features, weights, y, 100.0)
    assert free == pytest.approx(np.array([[-1.5, -2], [1.5, 2]]), rel=1e-6)
    # Norm sqrt(1/2) * 5 = 3.5355; clipped to 1.
    clipped = softmax_gradient_sum(features, weights, y, 1.0)
    assert clipped == pytest.approx(free / (5 * math.sqrt(0.5)), rel=1e-3)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(1e-4, 10),
    st.sampled_from([1e-3, 1.0, 1e3, 1e6]),
    st.integers(0, 2 * BLOCK),
)
def test_without_a_record_the_sum_moves_by_the_clipping_norm_at_most(
    seed: int, norm: float, scale: float, index: int
) -> None:
    x, y = drawn(2 * BLOCK + 1, seed)
    x = (x.astype(np.float32) * np.float32(scale)).astype(np.float32)
    centre = centre_of(seed) * np.float32(scale)
    weights = weights_of(seed, 1 / scale)
    whole = CentredFeatures.of(x, centre)
    nothing = whole.x.copy()
    nothing[index] = 0
    without = CentredFeatures(nothing, np.where(np.arange(len(y)) == index, 0, whole.norms))
    moved = softmax_gradient_sum(whole, weights, y, norm) - softmax_gradient_sum(
        without, weights, y, norm
    )
    assert np.linalg.norm(moved) <= norm


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 10), st.integers(0, 2 * BLOCK))
def test_without_a_record_the_feature_sum_moves_by_its_bound_at_most(
    seed: int, bound: float, index: int
) -> None:
    x, _ = drawn(2 * BLOCK + 1, seed)
    without = x.copy()
    without[index] = 0
    assert np.linalg.norm(feature_sum(x, bound) - feature_sum(without, bound)) <= bound


def test_short_examples_enter_the_feature_sum_whole() -> None:
    x = np.array([[3, 4], [0.3, 0.4]], dtype=np.float32)  # norms 5 and 0.5
    assert feature_sum(x, 1.0) == pytest.approx([0.6 + 0.3, 0.8 + 0.4], rel=1e-3)


def test_noise_has_the_stated_size() -> None:
    total = np.full(40_000, 3.0)
    found = noised(total, 0.5, 4.0, SeededNoise(0))
    assert found.mean() == pytest.approx(3.0, abs=0.05)
    assert found.std() == pytest.approx(2.0, rel=0.02)


def test_noise_too_large_for_its_lattice_is_refused() -> None:
    with pytest.raises(PrivacyError, match="too large"):
        noised(np.zeros(10**6), 1.0, 1e6, SystemNoise())


@pytest.mark.parametrize("norm", [0.0, -1.0, math.nan, math.inf])
def test_a_clipping_norm_out_of_range_is_refused(norm: float) -> None:
    x, y = drawn(3)
    with pytest.raises(PrivacyError, match="clipping norm"):
        softmax_gradient_sum(CentredFeatures.of(x, centre_of(0)), weights_of(0), y, norm)
    with pytest.raises(PrivacyError, match="clipping norm"):
        feature_sum(x, norm)


def test_features_that_do_not_fit_are_refused_and_those_that_are_not_finite_count_as_zero() -> None:
    x, _ = drawn(3)
    with pytest.raises(DataError, match="centre"):
        CentredFeatures.of(x, np.zeros(6, dtype=np.float32))
    x[1, 1] = np.inf
    found = CentredFeatures.of(x, centre_of(0))
    assert not found.x[1].any()
    assert found.norms[1] == 0
    assert found.norms[0] > 0
