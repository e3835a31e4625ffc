"""What members and requesters sign, and the hashes that bind a round: the mirror of the contracts
(ITrainingPool, ITrainingRounds, ISharingMarket).

Messages are EIP-712 typed data of the domain fedpact, version 2; `join` is for the pool's contract,
`acceptance` for the market's, all others for the rounds'. A digest, commitment, key or hash is 32
bytes; a packed score word has 14 bits a seat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput

BLIND = 1 << 255
"""The vote of a member whose slice did not open."""
SIGNATURE_BYTES = 65
"""r, s, v of an account's key."""
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Of secp256k1, rounded down."""


class WalletSignature(bytes):
    """What a contract wallet takes as its signature (ERC-1271), of any length."""


TypedData = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""EIP-712: the domain, the types, the message."""

_SLICE_SEAT = 16

_FIELDS = {
    "Join": (
        ("request", "uint256"),
        ("samples", "uint32"),
        ("attributes", "bytes32"),
        ("terms", "bytes32"),
    ),
    "Model": (("request", "uint256"), ("round", "uint256"), ("digest", "bytes32")),
    "Slice": (("request", "uint256"), ("round", "uint256"), ("key", "bytes32")),
    "Vote": (("request", "uint256"), ("round", "uint256"), ("commitment", "bytes32")),
    "Attest": (
        ("request", "uint256"),
        ("round", "uint256"),
        ("digest", "bytes32"),
        ("error", "uint16"),
    ),
    "Round": (
        ("request", "uint256"),
        ("round", "uint256"),
        ("history", "bytes32"),
        ("record", "bytes32"),
    ),
    "LargeRound": (
        ("request", "uint256"),
        ("round", "uint256"),
        ("history", "bytes32"),
        ("record", "bytes32"),
    ),
    "Submission": (
        ("request", "uint256"),
        ("round", "uint256"),
        ("history", "bytes32"),
        ("digest", "bytes32"),
    ),
    "Step": (
        ("request", "uint256"),
        ("round", "uint256"),
        ("history", "bytes32"),
        ("kind", "string"),
        ("content", "bytes32"),
    ),
    "Decline": (("request", "uint256"), ("reason", "string")),
    "Accept": (("request", "uint256"),),
    "Sum": (
        ("request", "uint256"),
        ("round", "uint256"),
        ("history", "bytes32"),
        ("step", "uint8"),
        ("content", "bytes32"),
    ),
}


@dataclass(frozen=True)
class Domain:
    """Where a message counts: a chain, and a contract on it."""

    chain_id: int
    contract: str

    def join(self, request: int, samples: int, attributes: bytes, terms: bytes) -> SignableMessage:
        """Consent to train for a request with these terms; `samples` from 1 to 16,777,215."""
        return self._message("Join", request, samples, attributes, terms)

    def model(self, request: int, round_: int, digest: bytes) -> SignableMessage:
        """The model that the signer submits."""
        return self._message("Model", request, round_, digest)

    def slice(self, request: int, round_: int, sealed_key: bytes) -> SignableMessage:
        """The sealed key of a round's slice, signed by the requester or an opener."""
        return self._message("Slice", request, round_, keccak(sealed_key))

    def vote(self, request: int, round_: int, commitment: bytes) -> SignableMessage:
        """The commitment to the signer's vote."""
        return self._message("Vote", request, round_, commitment)

    def attest(self, request: int, round_: int, digest: bytes, error: int) -> SignableMessage:
        """The global model that the signer computed, and its error (1/10,000; 16,383: unknown)."""
        return self._message("Attest", request, round_, digest, error)

    def round(
        self, request: int, round_: int, history: bytes, record: RoundRecord
    ) -> SignableMessage:
        """A whole round. `history` is the request's when the round opened."""
        return self._message("Round", request, round_, history, record.hash)

    def large_round(
        self, request: int, round_: int, history: bytes, record: LargeRecord
    ) -> SignableMessage:
        """What a committee found in a round of a whole pool; `history` as in `round`."""
        return self._message("LargeRound", request, round_, history, record.hash)

    def acceptance(self, request: int) -> SignableMessage:
        """The requester's consent to settle without waiting for the dispute window."""
        return self._message("Accept", request)

    def typed(self, kind: str, *values: Any) -> TypedData:
        """A message as typed data: domain, types, values.

        `kind`: Join, Model, Slice, Vote, Attest, Round, LargeRound or Accept; `values`: its fields.
        The contracts know nothing of a Sum, a step of a secure sum (docs/adr/0048), of a Decline
        (docs/adr/0054), and of Submission and Step, a trainer's model and a judge's word in a large
        round (docs/adr/0066).
        """
        fields = _FIELDS[kind]
        domain = {
            "name": "fedpact",
            "version": "2",
            "chainId": self.chain_id,
            "verifyingContract": self.contract,
        }
        types = {kind: [{"name": name, "type": type_} for name, type_ in fields]}
        return domain, types, {name: one for (name, _), one in zip(fields, values, strict=True)}

    def commitment(self, request: int, round_: int, account: str, vote: int, salt: bytes) -> bytes:
        """What a member commits to before the votes are opened."""
        kinds = ["uint256", "address", "uint256", "uint256", "address", "uint256", "bytes32"]
        values = [self.chain_id, self.contract, request, round_, account, vote, salt]
        return keccak(encode(kinds, values))

    def _message(self, kind: str, *values: Any) -> SignableMessage:
        return encode_typed_data(*self.typed(kind, *values))


@dataclass(frozen=True)
class RoundRecord:
    """A whole round on which all agree; one digest and vote for each expected seat, in seat order.

    `errors`: the errors of the global model, packed by seat.
    """

    digests: tuple[bytes, ...]
    votes: tuple[int, ...]
    slice_key: bytes
    digest: bytes
    errors: int

    @property
    def fields(self) -> tuple[list[bytes], list[int], bytes, bytes, int]:
        """As the contract takes it."""
        return list(self.digests), list(self.votes), self.slice_key, self.digest, self.errors

    @property
    def hash(self) -> bytes:
        """keccak256(abi.encode(record))"""
        return keccak(encode(["(bytes32[],uint256[],bytes,bytes32,uint256)"], [self.fields]))


@dataclass(frozen=True)
class LargeRecord:
    """What a committee found in a round of a whole pool: see ILargeRounds.Record."""

    submissions: bytes
    evidence: bytes
    digest: bytes
    errors: int
    blind: bool
    points: tuple[int, ...]
    """Words of sixteen members; see consensus.large_rounds."""

    @property
    def fields(self) -> tuple[bytes, bytes, bytes, int, bool]:
        """As the contract takes it, but for the points."""
        return self.submissions, self.evidence, self.digest, self.errors, self.blind

    @property
    def points_hash(self) -> bytes:
        """As the history and the running hash of all points have it (32 bytes)."""
        return keccak(b"".join(word.to_bytes(32, "big") for word in self.points))

    @property
    def hash(self) -> bytes:
        """What the judges sign: record and points (32 bytes)."""
        kinds = ["(bytes32,bytes32,bytes32,uint256,bool)", "bytes32"]
        return keccak(encode(kinds, [self.fields, self.points_hash]))


@dataclass(frozen=True)
class Board:
    """What a tally found: see ITrainingRounds.Board."""

    medians: int
    included: int
    eligible: int
    points: int
    faults: int

    @property
    def fields(self) -> tuple[int, int, int, int, int]:
        """As the contract takes it."""
        return self.medians, self.included, self.eligible, self.points, self.faults


@dataclass(frozen=True)
class Anchored:
    """All that a round anchored since its slice, in that order: see ITrainingRounds.Anchored."""

    log: bytes
    """Of the event SliceOpened; zero without a slice."""
    commitments: tuple[tuple[int, bytes], ...] = ()
    """By seat."""
    votes: tuple[tuple[int, int], ...] = ()
    """Packed, by seat."""

    @property
    def fields(self) -> tuple[bytes, int, list[bytes]]:
        """As the contract takes it."""
        opened = [(seat, vote.to_bytes(32, "big")) for seat, vote in self.votes]
        items = [*self.commitments, *opened]
        seats = sum(seat << 4 * place for place, (seat, _) in enumerate(items))
        return self.log, seats, [value for _, value in items]


def log_with_values(log: bytes, values: Iterable[tuple[int, bytes]]) -> bytes:
    """A round's log after models, commitments or votes of these seats."""
    for seat, value in values:
        log = keccak(encode(["bytes32", "uint256", "bytes32"], [log, seat, value]))
    return log


def log_with_slice(log: bytes, sealed_key: bytes) -> bytes:
    """A round's log after its slice was opened."""
    return log_with_values(log, [(_SLICE_SEAT, keccak(sealed_key))])


def log_with_board(log: bytes, board: Board) -> bytes:
    """A round's log after its tally."""
    kinds = ["bytes32", "(uint256,uint256,uint256,uint256,uint256)"]
    return keccak(encode(kinds, [log, board.fields]))


def log_with_attestations(log: bytes, attestations: Iterable[tuple[int, bytes, int]]) -> bytes:
    """A round's log after attestations: seat, digest, error."""
    for seat, digest, error in attestations:
        kinds = ["bytes32", "uint256", "bytes32", "uint256"]
        log = keccak(encode(kinds, [log, seat, digest, error]))
    return log


def history_after_start(history: bytes, start: Sequence[bytes]) -> bytes:
    """`start`: manifest, key hash, committee key, delivery hash. The first history is the hash of
    the terms."""
    return keccak(encode(["bytes32", "(bytes32,bytes32,bytes32,bytes32)"], [history, tuple(start)]))


def history_after_round(history: bytes, round_: int, log: bytes, record: bytes) -> bytes:
    """`log`: of the steps (zero: none). `record`: hash of the record (zero: not posted as a
    whole)."""
    return keccak(
        encode(["bytes32", "uint256", "bytes32", "bytes32"], [history, round_, log, record])
    )


def pack_signatures(signatures: Iterable[bytes]) -> bytes:
    """Signatures in seat order as the contracts take them.

    65 bytes (r, s, v) become 64 (EIP-2098); a WalletSignature goes behind them.
    """
    given = list(signatures)
    heads, tail = b"", b""
    for signature in given:
        if not isinstance(signature, WalletSignature):
            heads += compact(signature)
        else:
            at = 64 * len(given) + len(tail)
            heads += bytes(32) + at.to_bytes(32, "big")
            tail += len(signature).to_bytes(32, "big") + signature
    return heads + tail


def compact(signature: bytes) -> bytes:
    """r, vs of a signature r, s, v (EIP-2098)."""
    assert len(signature) == SIGNATURE_BYTES
    parity = (signature[64] - 27) & 1
    s = int.from_bytes(signature[32:64], "big") | parity << 255
    return signature[:32] + s.to_bytes(32, "big")


def signed_digest(message: SignableMessage) -> bytes:
    """The 32 bytes that a signature of the message signs (EIP-712)."""
    return keccak(b"\x19" + message.version + message.header + message.body)


def signer_of(message: SignableMessage, signature: bytes) -> str:
    """Whose key signed a message, by the contracts' rule (OpenZeppelin's ECDSA): what counts off
    chain must count there too, or it costs whoever posts it.

    `signature`: r, s, v, with s up to half of the curve's order, and v 27 or 28. Each right
    signature has a twin with the larger s, which anybody can compute. Raises InvalidInput.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidInput(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    if int.from_bytes(signature[32:64]) > _HALF_ORDER or signature[64] not in (27, 28):
        raise InvalidInput(
            "the contracts refuse a signature with s over half of the curve's order, or v other"
            " than 27 and 28"
        )
    try:
        return str(Account.recover_message(message, signature=signature))
    except (BadSignature, ValueError) as error:
        raise InvalidInput(f"no key's signature: {error}") from error
