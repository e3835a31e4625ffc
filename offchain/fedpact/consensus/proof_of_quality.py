"""What a round's votes are worth, who leads it, and when it is final.

Mirrors contracts/libraries/Judgement.sol and the ends of rounds in TrainingRoundsEnd.sol. Errors
are in 1/10,000; masks have bit i for seat i; words of points have 16 bits a seat; every share is
rounded down.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedpact.chain.signed_messages import BLIND, Board
from fedpact.consensus.leader import (
    approvals_needed,
)
from fedpact.types.requests import NOBODY, ApprovalRule, LeaderRule, mask_of, seats_of
from fedpact.types.scores import (
    INVALID,
    MAX_SCORE,
    MAX_SEATS,
    lane,
    median_error,
    median_score,
    pack_scores,
)

QUALITY_POINTS = 8_000
"""In proportion to how far a model's median is below the ceiling. A model that adds nothing earns
nothing, unless none does."""
VOTE_POINTS = 1_000
"""In proportion to the number of votes inside the band around the medians."""
ATTEST_POINTS = 500
"""For attesting the model that became final, in equal parts."""
LEADER_POINTS = 500

_POINT_BITS = 16


@dataclass(frozen=True)
class Rules:
    """What a request fixes for judging its rounds."""

    max_error: int
    target: int
    vote_band: int
    leader_rule: LeaderRule
    approval_rule: ApprovalRule


@dataclass(frozen=True)
class Final:
    """A round that became final."""

    digest: bytes
    approvals: int
    """Seats that attested this model."""
    leader: int
    """The seat that gets the leader's points; NOBODY if none may."""
    error: int
    """The median of the approvers' errors."""
    reached: bool
    """Whether a quorum's errors are each within the target."""
    points: int
    """All points of the round, a word of 16 bits a seat."""


def judge(
    votes: Mapping[int, int], submitted: int, max_error: int, vote_band: int
) -> tuple[Board, bool]:
    """A round's board, but for the faults of seats that did not act; whether the round is blind.

    A minority's BLIND votes count as no vote, without a fault: such a member shares in the
    quality. With fewer than two votes models cannot be compared: those that voted share the points
    as in a blind round.

    Args:
        votes: packed vote of each seat that revealed; all of them submitted.
        submitted: mask of the seats whose models are judged.
    """
    seeing = {seat: word for seat, word in votes.items() if word != BLIND}
    revealed = mask_of(votes)
    if 2 * (len(votes) - len(seeing)) > len(votes):
        return blind(submitted, submitted), True
    if len(seeing) < 2:
        return blind(submitted, revealed), False
    judged = seats_of(submitted)
    medians = {
        seat: median_score([lane(word, seat) for voter, word in seeing.items() if voter != seat])
        for seat in judged
    }
    valid = mask_of(seat for seat in judged if medians[seat] <= MAX_SCORE)
    good = mask_of(seat for seat in seats_of(valid) if medians[seat] <= max_error)
    in_band = {
        voter: sum(
            abs(lane(word, seat) - medians[seat]) <= vote_band for seat in judged if seat != voter
        )
        for voter, word in seeing.items()
    }
    adverse = mask_of(voter for voter, near in in_band.items() if 2 * near + 1 < len(judged))
    eligible = valid & revealed & ~adverse
    qualities = {
        seat: max(0, max_error - medians[seat]) if good else 0 for seat in seats_of(eligible)
    }
    shares = _shares(qualities, in_band)
    return Board(_packed(medians), good or valid, eligible, pack_points(shares), adverse), False


def blind(submitted: int, eligible: int) -> Board:
    """The board of a round in which nobody could judge: all models are equal.

    Args:
        submitted: seats whose model is aggregated.
        eligible: seats that share the points.
    """
    sharing = seats_of(submitted & eligible)
    each = (QUALITY_POINTS + VOTE_POINTS) // max(1, eligible.bit_count())
    points = pack_points(dict.fromkeys(sharing, each))
    return Board(_packed(dict.fromkeys(seats_of(submitted), 0)), submitted, eligible, points, 0)


def rewards(earners: int, leads: int) -> int:
    """What attesting and leading earn, as a word of points.

    Args:
        earners: seats that attested the final model and share in the round's points.
        leads: the leader's seat, or NOBODY.
    """
    seats = seats_of(earners)
    points = {seat: ATTEST_POINTS // len(seats) for seat in seats}
    if points and leads != NOBODY:
        points[leads] = points.get(leads, 0) + LEADER_POINTS
    return pack_points(points)


def finalised(
    board: Board,
    attestations: Sequence[tuple[int, bytes, int]],
    submitted: int,
    rules: Rules,
    leads: Callable[[int], int],
    voided: int = 0,
) -> Final | None:
    """What the attestations make of a tallied round; None where no model has a quorum: two thirds
    (or all) of those that attested, and more than half of those whose models count.

    Args:
        board: its points are without those of voided seats (`without`).
        attestations: seat, digest and error (INVALID: not measured), in the order anchored.
        submitted: seats whose models were judged.
        leads: the leader's seat among a mask of candidates, as `leader` says.
        voided: seats whose attestation does not count: they signed contradictions.
    """
    counting = [one for one in attestations if not voided >> one[0] & 1]
    digest = favourite([digest for _, digest, _ in counting])
    approving = {seat: error for seat, found, error in counting if found == digest}
    needed = approvals_needed(len(counting), submitted.bit_count(), rules.approval_rule)
    if len(approving) < needed:
        return None
    approvals = mask_of(approving)
    within = sum(error <= rules.target for error in approving.values())
    leading = leads(board.included & board.eligible & approvals)
    return Final(
        digest,
        approvals,
        leading,
        median_error(list(approving.values())),
        rules.target != 0 and within >= needed,
        board.points + rewards(board.eligible & approvals, leading),
    )


def astray(
    attestations: Sequence[tuple[int, bytes, int]],
    attesters: int,
    submitted: int,
    *,
    voided: int,
    halted: bool,
) -> int:
    """Seats at fault in the attestations: silent ones, if two others show that there was something
    to attest; those that attested something else than more than half of all whose models count.

    Args:
        attesters: seats that may attest: that revealed, in a blind round that submitted; without
            voided ones.
        halted: the requester cancelled; silence is then no fault.
    """
    counting = {seat: digest for seat, digest, _ in attestations if not voided >> seat & 1}
    digest = favourite(list(counting.values()))
    approvals = mask_of(seat for seat, found in counting.items() if found == digest)
    silent = attesters & ~mask_of(counting)
    faults = silent if approvals.bit_count() >= 2 and not halted else 0
    if 2 * approvals.bit_count() > submitted.bit_count():
        faults |= mask_of(counting) & ~approvals
    return faults


def without(points: int, seats: int) -> int:
    """A word of points without those of some seats."""
    return points & ~sum(0xFFFF << _POINT_BITS * seat for seat in seats_of(seats))


def favourite(digests: Sequence[bytes]) -> bytes:
    """The only digest that can have more than half of the attestations (Boyer and Moore)."""
    found, lead = bytes(32), 0
    for digest in digests:
        if lead == 0:
            found = digest
        lead += 1 if digest == found else -1
    return found


def pack_points(points: Mapping[int, int]) -> int:
    """Points by seat as one word."""
    return sum(own << _POINT_BITS * seat for seat, own in points.items())


def points_of(word: int, seats: int) -> tuple[int, ...]:
    """Points of the first `seats` seats of a word."""
    return tuple(word >> _POINT_BITS * seat & 0xFFFF for seat in range(seats))


def _shares(qualities: Mapping[int, int], in_band: Mapping[int, int]) -> dict[int, int]:
    """Points of the eligible seats, which `qualities` names. A seat without a vote has none in the
    band. Equal qualities where nobody is below the ceiling."""
    count, quality_sum = len(qualities), sum(qualities.values())
    vote_sum = sum(in_band.get(seat, 0) for seat in qualities) or 1
    return {
        seat: (QUALITY_POINTS * own // quality_sum if quality_sum else QUALITY_POINTS // count)
        + VOTE_POINTS * in_band.get(seat, 0) // vote_sum
        for seat, own in qualities.items()
    }


def _packed(medians: Mapping[int, int]) -> int:
    return pack_scores({seat: medians.get(seat, INVALID) for seat in range(MAX_SEATS)})
