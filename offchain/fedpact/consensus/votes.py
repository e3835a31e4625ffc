"""Votes and attestations: what members commit to, and what the rounds contract accepts.

Hashes bind chain, contract, request, round and member, so that none can be copied or replayed
(contracts/TrainingRounds.sol). Scores are errors in 1/10,000.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput
from fedpact.types.scores import INVALID, MAX_SCORE, MAX_SEATS, SCORE_BITS, is_score, lane


@dataclass(frozen=True)
class Ballot:
    """Whose vote or attestation it is, and in which round of which deployment."""

    chain_id: int
    rounds: str
    """Address of the TrainingRounds contract."""
    request_id: int
    round: int
    member: str
    """Account of the seat."""


def pack_scores(scores: Mapping[int, int]) -> int:
    """Packs scores by seat into one word; seats that are left out get an empty lane.

    Raises:
        InvalidInput: a seat outside 0..15, or a value that is neither a score nor INVALID.
    """
    word = 0
    for seat, score in scores.items():
        if not 0 <= seat < MAX_SEATS:
            raise InvalidInput(f"seat {seat} is outside 0..{MAX_SEATS - 1}")
        if not is_score(score):
            raise InvalidInput(
                f"score {score} of seat {seat} is neither in 0..{MAX_SCORE} nor {INVALID} (invalid)"
            )
        word |= score << SCORE_BITS * seat
    return word


def unpack_scores(word: int, seats: int = MAX_SEATS) -> tuple[int, ...]:
    """The first `seats` lanes of a word, one entry a seat.

    Raises:
        InvalidInput: a word wider than sixteen lanes, or negative.
    """
    if word < 0 or word >> SCORE_BITS * MAX_SEATS:
        raise InvalidInput(f"{word:#x} is wider than {MAX_SEATS} lanes of {SCORE_BITS} bits")
    return tuple(lane(word, seat) for seat in range(seats))


def vote_commitment(ballot: Ballot, word: int, salt: bytes) -> bytes:
    """32 bytes that `commitVote` takes for a packed vote; `salt` is 32 secret bytes.

    Raises:
        InvalidInput: a salt that is not 32 bytes.
    """
    if len(salt) != 32:
        raise InvalidInput(f"a vote's salt has 32 bytes, not {len(salt)}")
    return keccak(
        encode(
            ["uint256", "address", "uint256", "uint256", "address", "uint256", "bytes32"],
            [
                ballot.chain_id,
                ballot.rounds,
                ballot.request_id,
                ballot.round,
                ballot.member,
                word,
                salt,
            ],
        )
    )


def attestation(ballot: Ballot, digest: bytes, mae: int) -> bytes:
    """32 bytes that `attest` takes for a global model's digest and its measured error.

    Raises:
        InvalidInput: an error that is neither a score nor INVALID.
    """
    if not is_score(mae):
        raise InvalidInput(f"an attested error is a score or {INVALID}, not {mae}")
    return keccak(
        encode(
            ["uint256", "address", "uint256", "uint256", "bytes32", "uint256", "address"],
            [
                ballot.chain_id,
                ballot.rounds,
                ballot.request_id,
                ballot.round,
                digest,
                mae,
                ballot.member,
            ],
        )
    )


def kept_commitment(seat: int, commitment: bytes) -> int:
    """What the contract keeps of a commitment: its lower 224 bits, less the lane of the voter."""
    return int.from_bytes(commitment, "big") & _lanes_but(seat)


def kept_attestation(seat: int, posted: bytes, mae: int) -> int:
    """What the contract keeps of an attestation: as of a commitment, less one lane more.

    That lane, of the seat that differs in the lowest bit, holds the error instead.
    """
    beside = seat ^ 1
    return int.from_bytes(posted, "big") & _lanes_but(seat, beside) | mae << SCORE_BITS * beside


def approves(ballot: Ballot, seat: int, posted: bytes, mae: int, digest: bytes) -> bool:
    """Whether an attestation that a seat posted with an error is one of this digest."""
    if not is_score(mae):
        return False
    mine = attestation(ballot, digest, mae)
    return kept_attestation(seat, posted, mae) == kept_attestation(seat, mine, mae)


def first_bad_lane(word: int, seats: int, submitted: int, own: int) -> tuple[int, int] | None:
    """The first lane for which `revealVote` would refuse a vote, and its value; None if none.

    A lane holds a score or INVALID; the voter's own lane, lanes of seats that did not submit and
    all bits above the lanes (reported as lane 16) are empty.
    """
    for seat in range(MAX_SEATS):
        value = lane(word, seat)
        judged = seat < seats and submitted >> seat & 1 and seat != own
        if not (is_score(value) if judged else value == 0):
            return seat, value
    rest = word >> SCORE_BITS * MAX_SEATS
    return (MAX_SEATS, rest) if rest else None


def _lanes_but(*seats: int) -> int:
    """A mask of all sixteen lanes but those of some seats."""
    blank = sum(((1 << SCORE_BITS) - 1) << SCORE_BITS * seat for seat in seats)
    return (1 << SCORE_BITS * MAX_SEATS) - 1 & ~blank
