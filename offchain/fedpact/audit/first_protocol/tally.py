"""The tally of a round of the first protocol: medians, inclusion, points, and the running hash that
proves it.

Errors are in 1/10,000; masks have bit i for
seat i; every share of points is rounded down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.types.requests import mask_of, seats_of
from fedpact.types.scores import INVALID, MAX_SEATS, lane, median_score, pack_scores

BASE_POINTS = 1500
"""For a valid model, in equal parts."""
QUALITY_POINTS = 7000
"""By the distance of the median below the ceiling."""
VOTE_POINTS = 1000
"""By the number of votes inside the band around the medians."""
LEADER_POINTS = 500
"""For the proposal that made the round final."""
ROUND_POINTS = BASE_POINTS + QUALITY_POINTS + VOTE_POINTS + LEADER_POINTS


@dataclass(frozen=True)
class RoundTally:
    """The result of a round's revealed votes."""

    medians: tuple[int, ...]
    """One per seat; INVALID where no model was submitted."""
    valid: int
    """Seats whose model has a valid median."""
    included: int
    """Valid seats within the ceiling: the models that are aggregated."""
    eligible: int
    """Seats that share in the points: valid, revealed, not adverse."""
    adverse: int
    """Seats of which more than half of the votes lie outside the band."""
    points: tuple[int, ...]
    """Points of the round, one entry per seat, without the leader's."""

    @property
    def leaders(self) -> int:
        """Seats that may propose: included, revealed, not adverse."""
        return self.included & self.eligible


def tally(
    words: Mapping[int, int], submitted: int, seats: int, max_error: int, vote_band: int
) -> RoundTally:
    """Counts the revealed votes of a round.

    Args:
        words: packed vote of each seat that revealed; all these seats submitted.
        submitted: mask of the seats whose models are judged.
        seats: number of seats in the committee.
        max_error: ceiling of the request, 1/10,000.
        vote_band: largest distance of a vote from the median that is not adverse, 1/10,000.
    """
    judged = seats_of(submitted)
    medians = [INVALID] * seats
    for seat in judged:
        medians[seat] = median_score([lane(w, seat) for j, w in words.items() if j != seat])
    valid = mask_of(seat for seat in judged if medians[seat] != INVALID)
    included = mask_of(seat for seat in seats_of(valid) if medians[seat] <= max_error)

    in_band = {}
    adverse = 0
    for voter, word in words.items():
        others = [seat for seat in judged if seat != voter]
        in_band[voter] = sum(_near(lane(word, s), medians[s], vote_band) for s in others)
        if 2 * in_band[voter] < len(others):
            adverse |= 1 << voter
    eligible = mask_of(j for j in words if valid >> j & 1 and not adverse >> j & 1)
    points = _shares(seats_of(eligible), medians, in_band, max_error)
    return RoundTally(
        tuple(medians),
        valid,
        included,
        eligible,
        adverse,
        tuple(points.get(seat, 0) for seat in range(seats)),
    )


def history_of_start(terms_hash: bytes, manifest: bytes, key_hash: bytes) -> bytes:
    """The running hash as the rounds begin.

    Args:
        terms_hash: where it began at the request's creation.
        manifest: digest of the manifest of sealed keys.
        key_hash: keccak256 of the request key.
    """
    return keccak(encode(["bytes32"] * 3, [terms_hash, manifest, key_hash]))


def history_with_model(previous: bytes, round_number: int, seat: int, digest: bytes) -> bytes:
    """The running hash after one more submission."""
    types = ["bytes32", "uint256", "uint256", "bytes32"]
    return keccak(encode(types, [previous, round_number, seat, digest]))


def history_with_tally(
    previous: bytes,
    round_number: int,
    revealed: int,
    votes: Sequence[int],
    medians: Sequence[int],
) -> bytes:
    """The running hash after one more tally.

    Args:
        previous: the hash before, with the submissions of the round.
        revealed: mask of the seats that revealed.
        votes: their packed votes, in seat order.
        medians: one per seat, INVALID where no model was submitted.
    """
    # The contract's word has sixteen lanes, INVALID beyond the committee.
    lanes = [*medians, *[INVALID] * (MAX_SEATS - len(medians))]
    packed = pack_scores(dict(enumerate(lanes)))
    return keccak(
        encode(
            ["bytes32", "uint256", "uint256", "uint256[]", "uint256"],
            [previous, round_number, revealed, list(votes), packed],
        )
    )


def _near(vote: int, median: int, band: int) -> bool:
    if INVALID in (vote, median):
        return vote == median
    return abs(vote - median) <= band


def _shares(
    eligible: Sequence[int], medians: Sequence[int], in_band: Mapping[int, int], max_error: int
) -> dict[int, int]:
    quality = {seat: max(0, max_error - medians[seat]) for seat in eligible}
    # A sum of zero splits nothing: any divisor gives every seat 0.
    quality_sum = sum(quality.values()) or 1
    vote_sum = sum(in_band[seat] for seat in eligible) or 1
    return {
        seat: BASE_POINTS // len(eligible)
        + QUALITY_POINTS * quality[seat] // quality_sum
        + VOTE_POINTS * in_band[seat] // vote_sum
        for seat in eligible
    }
