"""See cohort.tree."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import keccak

from fedpact.consensus.draw import cohort, weight_of
from tests.contracts.v2.rounds.kit import Rounds, lanes16

SEEDS = [keccak(text=f"seed {i}") for i in range(12)]
SAMPLES = (1, 50, 400, 70, 3, 9_000, 20, 20, 600, 5, 31)


def drawn(r: Rounds, seed: bytes) -> tuple[int, ...]:
    word, members = r.on.pool.functions.cohort(r.id, seed).call()
    return tuple(lanes16(word, len(members)))


def larger(rounds_of: Any, **terms: Any) -> Rounds:
    """Eleven members with different samples, of which four take part in a round."""
    r: Rounds = rounds_of(11, cohort=4, maxPool=12, **terms)
    r.create()
    for member, samples in zip(r.members, SAMPLES, strict=True):
        r.samples = samples
        r.enrol([member])
    return r


def weights(r: Rounds) -> list[int]:
    rule, cap = r.terms["weightRule"], r.terms["sampleCap"]
    count = r.on.pool.functions.count(r.id).call()
    words = r.on.pool.functions.members(r.id, 0, count).call()
    return [weight_of(rule, (w >> 48) & 0xFFFFFF, (w >> 32) & 0xFFFF, cap) for w in words]


def test_a_small_pool_takes_part_as_a_whole(running: Any) -> None:
    r: Rounds = running(5)
    assert {drawn(r, seed) for seed in SEEDS} == {(0, 1, 2, 3, 4)}
    assert r.seats == r.members


@pytest.mark.parametrize(("rule", "cap"), [(0, 0), (1, 500), (2, 0)])
def test_a_larger_pool_draws_as_the_mirror(rounds_of: Any, rule: int, cap: int) -> None:
    r = larger(rounds_of, weightRule=rule, sampleCap=cap)
    expected = [cohort(seed, weights(r), 4) for seed in SEEDS]
    assert [drawn(r, seed) for seed in SEEDS] == expected
    assert len(set(expected)) > 6


def test_those_that_left_are_passed_over(rounds_of: Any) -> None:
    r = larger(rounds_of)
    count = r.on.pool.functions.count(r.id).call()
    words = r.on.pool.functions.members(r.id, 0, count).call()
    left = [0, 5, 8]
    by_address = {int(m.address, 16): m for m in r.members}
    for index in left:
        leaver = by_address[(words[index] >> 72) & (2**160 - 1)]
        r.chain.send(leaver, r.on.pool.functions.withdraw(r.id, index))
    for seed in SEEDS:
        assert drawn(r, seed) == cohort(seed, weights(r), 4, left)
        assert not set(drawn(r, seed)) & set(left)


def test_the_next_in_order_fill_the_seats(rounds_of: Any) -> None:
    """One member has nearly all weight: it is drawn again and again."""
    r = larger(rounds_of, weightRule=1, sampleCap=65_535)
    found = [drawn(r, seed) for seed in SEEDS]
    assert found == [cohort(seed, weights(r), 4) for seed in SEEDS]
    assert all(len(set(one)) == 4 for one in found)
