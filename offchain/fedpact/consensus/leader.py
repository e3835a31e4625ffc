"""Who leads a round's aggregation, what each provider weighs, and when a round is final.

Mirrors contracts/libraries/{Leader,Weights,Quorum}.sol.
Errors and reputations are in 1/10,000.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.types.requests import NOBODY, ApprovalRule, CohortMember, LeaderRule, seats_of
from fedpact.types.scores import lane

MIN_APPROVALS = 2


@dataclass(frozen=True)
class Candidate:
    """A seat that may lead: its model is included, its vote revealed and not adverse, and it
    attested the final model."""

    seat: int
    account: str
    median: int
    weight: int
    """Capped number of samples."""


def capped_weights(samples: Mapping[int, int]) -> dict[int, int]:
    """Aggregation weights of the submitted seats: min(samples, 2 * median), a whole number.

    For an even count the median is the exact mean of the middle two (Weights.sol).
    """
    ordered = sorted(samples.values())
    if not ordered:
        return {}
    cap = ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]
    return {seat: min(count, cap) for seat, count in samples.items()}


def by_weighted_error(
    candidates: Sequence[Candidate], round_number: int, weight_sum: int
) -> list[int]:
    """Seats of the candidates by rule POQ; the first of them leads.

    Ascending MAE^u (Lu et al. 2020, eq. 7), compared as MAE_j * (S + d_j) without the terms that
    all share. The hash of round and account breaks ties.

    Args:
        weight_sum: S, the sum of the weights of all submitted seats.
    """

    def key(candidate: Candidate) -> tuple[int, bytes]:
        return (
            candidate.median * (weight_sum + candidate.weight),
            lot(round_number, candidate.account),
        )

    return [candidate.seat for candidate in sorted(candidates, key=key)]


def by_turns(candidates: Sequence[CohortMember], last: CohortMember | None) -> list[int]:
    """Seats of the candidates by rule REPUTATION; the first of them leads.

    They take turns: by descending reputation, beginning after the last leader. The hash of 0 and
    the account breaks ties, so that the order is the same in all rounds.

    Args:
        last: who led last, if it is in this cohort.
    """

    def rank(member: CohortMember) -> tuple[int, bytes]:
        return -member.reputation, lot(0, member.account)

    turns = sorted(candidates, key=rank)
    waiting = [one for one in turns if last is not None and rank(one) > rank(last)]
    return [one.seat for one in (*waiting, *(one for one in turns if one not in waiting))]


def leader(
    candidates: int,
    submitted: int,
    medians: int,
    members: Sequence[CohortMember],
    round_: int,
    rule: LeaderRule,
    last_leader: int | None,
) -> int:
    """The seat that leads: the first of the candidates in the rule's order; NOBODY without one.

    Args:
        candidates: seats that are included, eligible and attested the final model.
        submitted: seats whose samples make the weights.
        medians: packed by seat.
        members: of the cohort, by seat.
        last_leader: seat of the last leader; None if it has none in this cohort.
    """
    seats = seats_of(candidates)
    if rule is LeaderRule.REPUTATION:
        last = None if last_leader is None else members[last_leader]
        order = by_turns([members[seat] for seat in seats], last)
    else:
        weights = capped_weights({seat: members[seat].samples for seat in seats_of(submitted)})
        found = [
            Candidate(seat, members[seat].account, lane(medians, seat), weights.get(seat, 0))
            for seat in seats
        ]
        order = by_weighted_error(found, round_, sum(weights.values()))
    return order[0] if order else NOBODY


def lot(number: int, account: str) -> bytes:
    """What breaks ties between accounts: keccak256 of a number and the account, 32 bytes."""
    return keccak(encode(["uint256", "address"], [number, account]))


def approvals_needed(attested: int, judged: int, rule: ApprovalRule) -> int:
    """Least number of matching attestations that make a round final.

    Args:
        attested: number of seats whose attestation counts (in the first protocol: that revealed
            a vote).
        judged: number of seats whose models count (in the first protocol: that were expected).
    """
    if rule is ApprovalRule.UNANIMOUS:
        return max(attested, MIN_APPROVALS, judged // 2 + 1)
    return max(-(-2 * attested // 3), MIN_APPROVALS, judged // 2 + 1)
