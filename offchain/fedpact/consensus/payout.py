"""What a request's rounds earned, and what it pays to whom: the settlement.

Mirrors contracts/libraries/{Earned,Payout}.sol and `settle` in SharingMarket.sol. Points have 16
bits a seat; amounts are in the token's smallest unit, refunds in wei; all rounded down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedpact.chain.bindings.rounds import folded
from fedpact.types.requests import Earned
from fedpact.types.scores import MAX_SCORE, MAX_SEATS

PAID = 1 << 16
"""The flag of a paid round (`Earned.extra`)."""
MEAN_QUALITY = 5_000
QUALITY_PER_FAULT = 2_000
LOSS_PER_FAULT = 100
"""Reputation, 1/10,000, that a fault costs where a request paid nobody."""
MAX_FAULTS = 3
"""A request costs nobody more than this many."""


@dataclass(frozen=True)
class MemberSum:
    """What one member earned in a request."""

    points: int = 0
    fair: int = 0
    """What it would have with an equal share of every round that it was in."""
    faults: int = 0

    @property
    def quality(self) -> int:
        """Points relative to the fair share, less what faults cost; 0 to 10,000."""
        relative = MEAN_QUALITY * self.points // self.fair if self.fair else 0
        return max(0, min(MAX_SCORE, relative) - QUALITY_PER_FAULT * min(MAX_FAULTS, self.faults))

    @property
    def losses(self) -> int:
        """What is recorded instead where the request paid nobody."""
        return LOSS_PER_FAULT * min(MAX_FAULTS, self.faults)


def packed(indices: Sequence[int]) -> int:
    """The pool index of each seat, as an entry has them."""
    return sum(index << 16 * seat for seat, index in enumerate(indices))


def of_round(indices: Sequence[int], points: int, faults: int, digest: bytes) -> Earned:
    """The entry of a round.

    Args:
        indices: the pool index of each seat.
        points: a word of 16 bits a seat.
        faults: mask of the seats at fault.
        digest: of the global model; zero where the round did not become final.
    """
    return Earned(packed(indices), points, faults | (PAID if points else 0), digest)


def seats_in(entry: Earned) -> list[tuple[int, int, bool]]:
    """Pool index, points and fault of each seat of an entry.

    The number of seats ends with the last that has an index, points or a fault: member 0 leaves no
    trace in the last seat of a drawn cohort if it earned nothing and has no fault.
    """
    lanes = [
        (entry.index_of(seat), entry.points_of(seat), bool(entry.faults >> seat & 1))
        for seat in range(MAX_SEATS)
    ]
    while lanes and not any(lanes[-1]):
        lanes.pop()
    return lanes


def fold(entries: Iterable[Earned], earned: bytes = bytes(32)) -> bytes:
    """The running hash of a list of entries, as the chain keeps it."""
    for entry in entries:
        earned = folded(earned, entry.fields)
    return earned


def uncollected(entries: Sequence[Earned], cursor: bytes | None) -> Sequence[Earned]:
    """The beginning of the list that `settle` takes in; `cursor`: where `collect` has come to."""
    if cursor is None:
        return entries
    running = bytes(32)
    for number, entry in enumerate(entries):
        if running == cursor:
            return entries[:number]
        running = fold([entry], running)
    return entries


def sums_of(entries: Iterable[Earned]) -> dict[int, MemberSum]:
    """What the entries add up to, by pool index."""
    found: dict[int, MemberSum] = {}
    for entry in entries:
        seats = seats_in(entry)
        fair = sum(points for _, points, _ in seats) // max(1, len(seats))
        fair = entry.fair if entry.summed else fair
        for index, points, fault in seats:
            own = found.get(index, MemberSum())
            found[index] = MemberSum(own.points + points, own.fair + fair, own.faults + fault)
    return found


def refunds_of(entries: Iterable[Earned], budget: int) -> dict[str, int]:
    """Wei refunded to each poster, at most `budget` in all, first come first served."""
    asked: dict[str, int] = {}
    for entry in entries:
        if entry.refund:
            asked[entry.poster] = asked.get(entry.poster, 0) + entry.refund
    for poster, amount in asked.items():
        asked[poster] = min(amount, budget)
        budget -= asked[poster]
    return asked


def pool(payment: int, *, reached: bool, paid_rounds: int, max_rounds: int) -> int:
    """The part of the payment that goes to providers once the model is delivered, in wei.

    All of it if the target was reached, otherwise in proportion to the rounds that gave points.
    """
    return payment if reached else payment * paid_rounds // max_rounds


def payouts(
    entries: Iterable[Earned], pay: int, *, due: bool, reached: bool, max_rounds: int
) -> dict[int, int]:
    """What each member is paid, by pool index.

    Args:
        pay: of the request.
        due: the model was delivered and no dispute holds, or the requester cancelled before any
            round was final.
        reached: the target was met.
    """
    listed = list(entries)
    sums = sums_of(listed)
    total = sum(one.points for one in sums.values())
    paid_rounds = sum(entry.paid for entry in listed)
    whole = pool(pay, reached=reached, paid_rounds=paid_rounds, max_rounds=max_rounds)
    return {
        index: whole * one.points // total if due and total else 0 for index, one in sums.items()
    }
