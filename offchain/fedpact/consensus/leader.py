"""Who leads a round's aggregation, what each provider weighs, and when a round is final.

Mirrors contracts/libraries/{Weights,Quorum}.sol and `leader` in Judgement.sol.
Errors and reputations are in 1/10,000.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.types.requests import ApprovalRule, LeaderRule

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
    reputation: int
    """When the provider joined."""


def capped_weights(samples: Mapping[int, int]) -> dict[int, int]:
    """Aggregation weights of the submitted seats: min(samples, 2 * median), a whole number.

    For an even count the median is the exact mean of the middle two (Weights.sol).
    """
    ordered = sorted(samples.values())
    if not ordered:
        return {}
    cap = ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]
    return {seat: min(count, cap) for seat, count in samples.items()}


def leader_order(
    candidates: Sequence[Candidate],
    round_number: int,
    rule: LeaderRule,
    weight_sum: int,
    last_leader: int | None,
) -> list[int]:
    """Seats of the candidates; the first of them leads.

    Rule POQ: ascending MAE^u (Lu et al. 2020, eq. 7), compared as MAE_j * (S + d_j) without the
    terms that all share. Rule REPUTATION: descending, the last leader at the end. The hash of round
    and account breaks ties.

    Args:
        weight_sum: S, the sum of the weights of all submitted seats.
        last_leader: seat that led last; None if there is none.
    """

    def key(candidate: Candidate) -> tuple[int, int, bytes]:
        lot = keccak(encode(["uint256", "address"], [round_number, candidate.account]))
        if rule is LeaderRule.POQ:
            return candidate.median * (weight_sum + candidate.weight), 0, lot
        return int(candidate.seat == last_leader), -candidate.reputation, lot

    return [candidate.seat for candidate in sorted(candidates, key=key)]


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
