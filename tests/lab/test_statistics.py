"""Means, intervals and comparisons of curves, by hand and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.harness.statistics import (
    ahead_from,
    estimate,
    mean_absolute_gap,
    paired_difference,
)

shares = st.floats(0, 1)


def test_three_runs_by_hand() -> None:
    found = estimate([0.1, 0.2, 0.3])

    # t(0.975, 2) = 4.302653, std 0.1, half width 4.302653 * 0.1 / sqrt(3) = 0.248414
    assert found.mean == pytest.approx(0.2)
    assert found.std == pytest.approx(0.1)
    assert (found.low, found.high) == (
        pytest.approx(-0.048414, abs=1e-6),
        pytest.approx(0.448414, abs=1e-6),
    )


def test_one_run_has_no_spread() -> None:
    found = estimate([0.4])

    assert (found.mean, found.std, found.low, found.high) == (0.4, None, None, None)


@given(st.dictionaries(st.integers(0, 9), shares, min_size=2), shares)
def test_a_shift_of_all_runs_is_found_whatever_the_runs(runs: dict[int, float], by: float) -> None:
    found = paired_difference({seed: value + by for seed, value in runs.items()}, runs)

    assert found is not None
    assert found.mean == pytest.approx(by)
    assert found.std == pytest.approx(0, abs=1e-9)


def test_only_seeds_that_both_have_are_paired() -> None:
    found = paired_difference({0: 0.5, 1: 0.9}, {1: 0.4, 2: 0.1})

    assert found is not None
    assert (found.mean, found.count) == (pytest.approx(0.5), 1)
    assert paired_difference({0: 0.5}, {1: 0.5}) is None


def test_the_gap_is_the_mean_over_the_rounds_of_absolute_differences() -> None:
    assert mean_absolute_gap([0.1, 0.6, 0.5], [0.2, 0.4, 0.5]) == pytest.approx(0.1)


@given(st.lists(st.tuples(shares, shares), min_size=1))
def test_ahead_from_is_the_round_after_the_last_that_is_not_above(
    pairs: list[tuple[float, float]],
) -> None:
    behind = [number for number, (a, b) in enumerate(pairs, start=1) if a <= b]
    expected = max(behind, default=0) + 1

    found = ahead_from([a for a, _ in pairs], [b for _, b in pairs])

    assert found == (expected if expected <= len(pairs) else None)
