"""Who takes part in a round: the mirror of contracts/TrainingPoolViews.sol.

A pool of at most `cohort` members takes part as a whole. From a larger one each round draws its
cohort by a seed that the block decides in which the round before was closed. The committee of a
large round waits for a later block (docs/adr/0070-a-later-block-draws-the-committee.md).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate

from eth_utils.crypto import keccak

DRAWS_PER_SEAT = 8


def weight_of(rule: int, samples: int, reputation: int, sample_cap: int) -> int:
    """How likely a member is drawn, relative to others. Rule 0: all alike; 1: by samples, capped;
    2: by reputation (1/10,000), at least 1."""
    if rule == 1:
        return min(samples, sample_cap)
    return max(reputation, 1) if rule == 2 else 1


def cohort(
    seed: bytes, weights: Sequence[int], size: int, left: Collection[int] = ()
) -> tuple[int, ...]:
    """The pool index of each seat of a cohort of `size` (2 to 16).

    `weights`: of all members, in the order of the pool. `left`: indices of those that have left.
    """
    members = len(weights)
    wanted = min(members - len(left), size)
    found: list[int] = []
    index = 0
    if members > size:
        sums = list(accumulate(weights))
        for number in range(DRAWS_PER_SEAT * size):
            if len(found) == wanted:
                break
            index = bisect_right(sums, _below(seed, number, sums[-1]))
            if index not in found and index not in left:
                found.append(index)
        index += 1
    while len(found) < wanted:
        index %= members
        if index not in found and index not in left:
            found.append(index)
        index += 1
    return tuple(found)


def first_seed(request: int, randomness: int) -> bytes:
    """The seed of round 1: `randomness` is PREVRANDAO of the block that draws: that
    of the start, in large rounds one after it."""
    return keccak(request.to_bytes(32, "big") + randomness.to_bytes(32, "big"))


def next_seed(seed: bytes, randomness: int) -> bytes:
    """The seed after a round that was closed in a block with this PREVRANDAO; in large rounds, of
    the round that a block with this PREVRANDAO draws."""
    return keccak(seed + randomness.to_bytes(32, "big"))


def _below(seed: bytes, number: int, bound: int) -> int:
    return int.from_bytes(keccak(seed + number.to_bytes(32, "big")), "big") % bound
