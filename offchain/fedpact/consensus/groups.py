"""Judging members of a secure sum: by the sums of small groups, regrouped in every round.

Nobody sees a member's own update. What can be scored is a group's sum: how much better a model is
with it. Who is in a group changes with every round, so that over the rounds the scores tell members
apart: a member's worth is its part in the scores of the groups that it was in, by least squares.

All is computed in whole numbers and fractions, so that every member finds the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput

GROUP = 4
"""Least members of a group."""
RIDGE = 1
"""What a worth that differs from the mean costs, as one more score that says that it does not: a
member that was in few groups counts as an average one."""
UNITS = 1000
"""A worth is in thousandths of a score."""


@dataclass(frozen=True)
class GroupScore:
    """A group of a round, and by how much its sum lowers the model's error: of a mean example, in
    2^-20."""

    members: tuple[int, ...]
    gain: int


def groups(seed: bytes, members: int, least: int = GROUP) -> tuple[tuple[int, ...], ...]:
    """The groups of a round: of `least` members, or more where the number is no multiple of it.

    seed: the round's public randomness. Members, by index from 0, are ordered by the hash of seed
    and index and dealt out in turn. Raises InvalidInput for fewer than `least`.
    """
    if members < least:
        raise InvalidInput(f"{members} members make no group: it takes {least}")
    ordered = sorted(range(members), key=lambda one: keccak(seed + one.to_bytes(32, "big")))
    count = members // least
    return tuple(tuple(sorted(ordered[first::count])) for first in range(count))


def worths(rounds: Sequence[Sequence[GroupScore]], members: int) -> tuple[int, ...]:
    """Each member's worth a round, in thousandths of a score, rounded half up.

    A round's scores are first taken relative to their mean a member, since later rounds gain less
    than early ones. The differences are explained by least squares, with the RIDGE, as sums over
    the group's members. A worth is such a difference plus the mean of the rounds. Raises
    InvalidInput for a round in which a member is in two groups, or is none of `members`.
    """
    normal = [
        [Fraction(RIDGE * (row == column)) for column in range(members)] for row in range(members)
    ]
    right = [Fraction(0)] * members
    means = [Fraction(0)] * len(rounds)
    for number, scores in enumerate(rounds):
        placed = [member for score in scores for member in score.members]
        if len(set(placed)) != len(placed) or not set(placed) <= set(range(members)):
            raise InvalidInput(f"round {number + 1}: each of {members} members is in one group")
        if placed:
            means[number] = Fraction(sum(score.gain for score in scores), len(placed))
        for score in scores:
            surplus = score.gain - len(score.members) * means[number]
            for row in score.members:
                right[row] += surplus
                for column in score.members:
                    normal[row][column] += 1
    average = sum(means, Fraction(0)) / max(len(rounds), 1)
    found = (average + one for one in _solved(normal, right))
    return tuple((2 * UNITS * one + 1) // 2 for one in found)


def _solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """The solution of a positive definite system, by elimination without pivots."""
    size = len(right)
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    for pivot in range(size):
        for below in range(pivot + 1, size):
            factor = rows[below][pivot] / rows[pivot][pivot]
            if factor:
                for at in range(pivot, size + 1):
                    rows[below][at] -= factor * rows[pivot][at]
    found = [Fraction(0)] * size
    for row in reversed(range(size)):
        rest = sum((rows[row][at] * found[at] for at in range(row + 1, size)), Fraction(0))
        found[row] = (rows[row][size] - rest) / rows[row][row]
    return found
