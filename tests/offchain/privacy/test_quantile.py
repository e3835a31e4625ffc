"""The norm that follows a quantile: its cost, its count, and where it settles."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import PrivacyError
from fedpact.privacy.noise import SeededNoise
from fedpact.privacy.quantile import (
    COUNT_BOUND,
    LARGEST_NORM,
    SMALLEST_NORM,
    QuantileClipping,
)


@given(st.floats(0.3, 50), st.floats(1.01, 100))
def test_sum_and_count_together_cost_the_charge(whole: float, factor: float) -> None:
    clipping = QuantileClipping(whole, whole * factor)
    together = 1 / math.hypot(1 / clipping.gradient_multiplier, 1 / clipping.count_multiplier)
    assert together == pytest.approx(whole, rel=1e-9)


def test_the_sum_keeps_nearly_all_of_the_budget() -> None:
    # Andrew et al. 2021, theorem 1: (1 - 1/100)^(-1/2) = 1.00504.
    assert QuantileClipping(1.0, 10.0).gradient_multiplier == pytest.approx(1.0050378)


def test_the_share_is_that_of_the_gradients_within_the_norm() -> None:
    clipping = QuantileClipping(1e-4, 1e-3)
    norms = np.array([0.5, 1.0, 1.5, 2.0])
    share = clipping.noised_share(norms, 1.0, 4.0, SeededNoise(0))
    assert share == pytest.approx(0.5, abs=1e-2)


def test_the_divisor_is_the_expected_batch_not_the_drawn_one() -> None:
    clipping = QuantileClipping(1e-4, 1e-3)
    share = clipping.noised_share(np.array([0.5]), 1.0, 10.0, SeededNoise(0))
    assert share == pytest.approx(COUNT_BOUND / 10 + 0.5, abs=1e-3)


def test_the_counts_noise_has_the_stated_size() -> None:
    clipping, noise = QuantileClipping(1.0, 8.0), SeededNoise(1)
    norms = np.ones(20)
    shares = [clipping.noised_share(norms, 2.0, 1.0, noise) for _ in range(4000)]
    assert np.std(shares) == pytest.approx(4.0, rel=0.06)  # 8 * 1/2


def test_a_step_by_hand() -> None:
    # All within the norm, half asked for: exp(-0.2 * 0.5) = 0.904837.
    assert QuantileClipping(1.0, 10.0).next_norm(2.0, 1.0) == pytest.approx(2 * 0.904837, rel=1e-6)


def test_the_norm_settles_at_the_quantile() -> None:
    clipping, noise = QuantileClipping(1.0, 10.0, quantile=0.8), SeededNoise(2)
    norms = np.random.default_rng(3).lognormal(0.0, 1.0, 1000)
    norm, seen = 20.0, []
    for step in range(300):
        share = clipping.noised_share(norms, norm, 1000.0, noise)
        norm = clipping.next_norm(norm, share)
        if step >= 200:
            seen.append(norm)
    assert np.mean(seen) == pytest.approx(np.quantile(norms, 0.8), rel=0.05)


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.floats(0.1, 0.9), st.floats(0.01, 1.0))
def test_noise_does_not_take_the_norm_out_of_its_range(
    shares: list[float], quantile: float, rate: float
) -> None:
    clipping, norm = QuantileClipping(1.0, 10.0, quantile, rate), 2.0
    for share in shares:
        norm = clipping.next_norm(norm, share)
    low, high = clipping.norm_range(2.0, len(shares))
    assert low * (1 - 1e-9) <= norm <= high * (1 + 1e-9)


def test_the_range_is_reached_and_ends_somewhere() -> None:
    clipping = QuantileClipping(1.0, 10.0, quantile=0.25, rate=0.4)
    assert clipping.next_norm(1.0, 9.0) == pytest.approx(clipping.norm_range(1.0, 1)[0])
    assert clipping.next_norm(1.0, -9.0) == pytest.approx(clipping.norm_range(1.0, 1)[1])
    assert clipping.norm_range(1.0, 10_000) == (SMALLEST_NORM, LARGEST_NORM)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.integers(0, 19))
def test_one_unit_moves_the_count_by_half_and_another_bit_hardly(
    norms: list[float], index: int
) -> None:
    clipping = QuantileClipping(1e-4, 1e-3)
    index %= len(norms)

    def count(found: list[float]) -> float:
        return clipping.noised_share(np.array(found), 1.0, 1.0, SeededNoise(0)) - COUNT_BOUND

    without = norms[:index] + norms[index + 1 :]
    assert abs(count(norms) - count(without)) <= COUNT_BOUND
    nudged = [norm * (1 + 1e-13) for norm in norms]
    assert abs(count(nudged) - count(norms)) < 1e-9 * len(norms)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantile", 0.0),
        ("quantile", 1.0),
        ("rate", 0.0),
        ("noise_multiplier", 10.0),
        ("noise_multiplier", 0.0),
        ("count_multiplier", 1.0),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: float) -> None:
    fields = {"noise_multiplier": 1.0, "count_multiplier": 10.0} | {field: value}
    with pytest.raises(PrivacyError, match=repr(value)):
        QuantileClipping(**fields)
