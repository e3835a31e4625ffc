"""What a request of the first protocol pays to whom, and how it rates its members' quality.

Payments are wei; qualities 1/10,000; all rounded down.
"""

from collections.abc import Sequence

from fedpact.consensus.reputation import MAX_WEIGHT
from fedpact.types.scores import MAX_SCORE

MEAN_QUALITY = 5000
"""Quality of a member with just the mean of the points."""
FAULT_LOSS = 100
"""Reputation lost by one fault."""


def shares(pool_wei: int, points: Sequence[int]) -> list[int]:
    """Wei of each seat, by its points; all 0 where nobody has any."""
    total = sum(points)
    return [pool_wei * own // total if total else 0 for own in points]


def relative_quality(points: int, members: int, total_points: int) -> int:
    """A seat's points relative to the mean of the `members` that took part; 5,000 is the mean."""
    if total_points == 0:
        return 0
    return min(MAX_SCORE, MEAN_QUALITY * points * members // total_points)


def outcome_weight(payment: int, reputation_unit: int) -> int:
    """Weight of a request in its members' reputation: 0 below the unit, 100 at most."""
    return min(payment // reputation_unit, MAX_WEIGHT)
