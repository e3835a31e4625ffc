"""What members of the first protocol committed to and attested.

Hashes bind chain, contract, request, round and member, so that none can be copied or replayed.
Scores are errors in 1/10,000.
"""

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput
from fedpact.types.scores import INVALID, MAX_SEATS, SCORE_BITS, is_score


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


def vote_commitment(ballot: Ballot, word: int, salt: bytes) -> bytes:
    """32 bytes that `commitVote` took for a packed vote; `salt` is 32 secret bytes.

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
    """32 bytes that `attest` took for a global model's digest and its measured error.

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


def kept_attestation(seat: int, posted: bytes, mae: int) -> int:
    """What the contract kept of an attestation: its lower 224 bits, less the lanes of the member
    and of the seat that differs in the lowest bit, which holds the error instead."""
    beside = seat ^ 1
    return int.from_bytes(posted, "big") & _lanes_but(seat, beside) | mae << SCORE_BITS * beside


def approves(ballot: Ballot, seat: int, posted: bytes, mae: int, digest: bytes) -> bool:
    """Whether an attestation that a seat posted with an error is one of this digest."""
    if not is_score(mae):
        return False
    mine = attestation(ballot, digest, mae)
    return kept_attestation(seat, posted, mae) == kept_attestation(seat, mine, mae)


def _lanes_but(*seats: int) -> int:
    """A mask of all sixteen lanes but those of some seats."""
    blank = sum(((1 << SCORE_BITS) - 1) << SCORE_BITS * seat for seat in seats)
    return (1 << SCORE_BITS * MAX_SEATS) - 1 & ~blank
