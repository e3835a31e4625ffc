"""The draw of a cohort; tests/contracts/rounds/test_cohort_of.py compares it with the contract."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fedpact.consensus.draw import cohort, next_seed, weight_of

WEIGHTS = st.lists(st.integers(1, 65_535), min_size=2, max_size=60)
SEED = st.binary(min_size=32, max_size=32)


@given(SEED, WEIGHTS, st.integers(2, 16), st.sets(st.integers(0, 59), max_size=10))
def test_a_cohort_is_distinct_present_and_full(
    seed: bytes, weights: list[int], size: int, gone: set[int]
) -> None:
    left = {index for index in gone if index < len(weights)}
    found = cohort(seed, weights, size, left)
    assert len(set(found)) == len(found) == min(size, len(weights) - len(left))
    assert not left & set(found)
    assert all(0 <= index < len(weights) for index in found)
    if len(weights) <= size:
        assert list(found) == sorted(found)


def test_all_are_drawn_about_equally_often() -> None:
    seed, drawn = bytes(32), Counter[int]()
    for block in range(2_000):
        seed = next_seed(seed, block)
        drawn.update(cohort(seed, [1] * 20, 5))
    # 500 each expected, standard deviation 19.
    assert all(400 < drawn[index] < 600 for index in range(20))


def test_weights_move_the_odds() -> None:
    seed, drawn = bytes(32), Counter[int]()
    for block in range(500):
        seed = next_seed(seed, block)
        drawn.update(cohort(seed, [10, *[1] * 19], 2))
    assert drawn[0] > 5 * max(drawn[index] for index in range(1, 20)) / 2


def test_weights_by_rule() -> None:
    assert weight_of(0, 500, 4_000, 100) == 1
    assert weight_of(1, 500, 4_000, 100) == 100
    assert weight_of(2, 500, 0, 0) == 1
    assert weight_of(2, 500, 4_000, 0) == 4_000
