"""The signed messages of a round as daemons exchange them, and what makes one count.

A message is one that its seat signed for this very round of this request on this chain
(fedpact.chain.signed_messages), with its key or as a contract wallet; a reveal needs no signature,
since only its maker can open the commitment. Nothing else is kept, so that strangers can fill
nothing up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Annotated

from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.crypto import keccak
from pydantic import Field, TypeAdapter, ValidationError

from fedpact.chain.addresses import checksum
from fedpact.chain.contract_wallets import MOST_SIGNATURE, WalletSignatures
from fedpact.chain.signed_messages import (
    BLIND,
    SIGNATURE_BYTES,
    Domain,
    TypedData,
    WalletSignature,
    signed_digest,
    signer_of,
)
from fedpact.errors import InvalidInput
from fedpact.types.document import Document
from fedpact.types.scores import INVALID, MAX_SCORE
from fedpact.types.validation import first_error

SLICE_SEAT = 16
"""The seat of the requester's message."""
MOST = 16 * (8 + 3 * 16) + 1
"""Messages of a round, in which each seat may support a proposal of each in three steps."""
_PLACE_BYTES, _DIGEST_BYTES = 3, 16
WORD_BYTES = _PLACE_BYTES + _DIGEST_BYTES
"""Of `Message.word`. Two words of one seat with equal digests take 2^64 attempts."""


class Forged(InvalidInput):
    """A message that its seat did not sign. No daemon passes one on."""


class Kind(StrEnum):
    """What is said, in the order in which a round goes on; the first five in secure sums alone,
    HELD, PICK, TALLY and RECORD in large rounds alone."""

    ANNOUNCE = "announce"
    ROSTER = "roster"
    MASKED = "masked"
    AGREE = "agree"
    OPEN = "open"
    MODEL = "model"
    SLICE = "slice"
    HELD = "held"
    PICK = "pick"
    VOTE = "vote"
    REVEAL = "reveal"
    TALLY = "tally"
    ATTEST = "attest"
    RECORD = "record"
    ROUND = "round"


PROPOSALS = (Kind.PICK, Kind.TALLY, Kind.RECORD)
"""Said by who proposes something, and by all that support it: see
`provider.duties.large_rounds.proposals`."""
SUM_KINDS = (Kind.ANNOUNCE, Kind.ROSTER, Kind.MASKED, Kind.AGREE, Kind.OPEN)
_STEPS = {kind: number for number, kind in enumerate(SUM_KINDS)}
_EXTRA = {Kind.ANNOUNCE: 0, Kind.ROSTER: 2, Kind.MASKED: 32, Kind.AGREE: 2, Kind.OPEN: 2}


def _hex(most: int) -> object:
    return Field(pattern=r"^([0-9a-f]{2})*$", max_length=2 * most)


class Message(Document):
    """One seat's word on one thing; values as hex. For large rounds see `LargeBallot`.

    `value`: digest, sealed key, commitment, packed vote or hash of the record; of a secure sum see
    `provider.summing`. `extra`: signer of a slice (20 bytes), salt of a reveal (32), error of an
    attestation (2), digest of a masked vector's roster (32), mask of the members of a sum (2); else
    empty.
    """

    kind: Kind
    seat: Annotated[int, Field(ge=0, le=SLICE_SEAT)]
    value: Annotated[str, _hex(256)]
    extra: Annotated[str, _hex(32)] = ""
    signature: Annotated[str, _hex(SIGNATURE_BYTES)] = ""
    wallet: Annotated[str, _hex(MOST_SIGNATURE)] = ""
    """In place of `signature`: what a contract wallet takes for its own (ERC-1271)."""

    @property
    def content(self) -> bytes:
        return bytes.fromhex(self.value)

    @property
    def more(self) -> bytes:
        return bytes.fromhex(self.extra)

    @property
    def number(self) -> int:
        """A packed vote as a number."""
        return int(self.value, 16)

    @property
    def error(self) -> int:
        """Of an attestation, 1/10,000."""
        return int.from_bytes(self.more)

    @property
    def signed(self) -> bytes:
        """Its signature; a WalletSignature where a contract wallet speaks."""
        if self.wallet:
            return WalletSignature(bytes.fromhex(self.wallet))
        return bytes.fromhex(self.signature)

    def signed_with(self, signature: bytes) -> Message:
        """This message with its signature."""
        name = "wallet" if isinstance(signature, WalletSignature) else "signature"
        return self.model_copy(update={name: signature.hex()})

    @property
    def proposer(self) -> int:
        """The seat that proposed what a message of PROPOSALS supports."""
        return self.more[0] if self.extra else 0

    @property
    def at(self) -> tuple[Kind, int]:
        """Of which one counts: of a kind and seat, and of proposals of each that proposed one."""
        return self.place_of(self.kind, self.seat, self.proposer)

    @staticmethod
    def place_of(kind: Kind, seat: int, proposer: int) -> tuple[Kind, int]:
        """`at` of a message; the proposer counts for PROPOSALS alone."""
        return kind, seat + (proposer << 8 if kind in PROPOSALS else 0)

    @property
    def word(self) -> bytes:
        """What is said, without the signature: `at`, then a digest."""
        kind, place = self.at
        said = sha256(f"{self.value} {self.extra}".encode()).digest()
        return bytes([_NUMBERS[kind]]) + place.to_bytes(2) + said[:_DIGEST_BYTES]


_LIST: TypeAdapter[list[Message]] = TypeAdapter(list[Message])


def decode(content: bytes) -> list[Message]:
    """Messages from a JSON list. Raises InvalidInput naming the first field that fails."""
    try:
        return _LIST.validate_json(content)
    except ValidationError as error:
        raise InvalidInput(f"messages of a round: {first_error(error)}") from error


_NUMBERS = {kind: number for number, kind in enumerate(Kind)}


def lacking(words: Iterable[bytes], messages: Iterable[Message]) -> list[Message]:
    """Messages that whoever holds these words may still keep: two of a kind and seat."""
    held: dict[bytes, set[bytes]] = defaultdict(set)
    for word in words:
        held[word[:_PLACE_BYTES]].add(word)
    found = []
    for message in messages:
        word = message.word
        said = held[word[:_PLACE_BYTES]]
        if len(said) < 2 and word not in said:
            said.add(word)
            found.append(message)
    return found


@dataclass(frozen=True)
class Ballot:
    """The round that messages are for, and who may speak in it."""

    domain: Domain
    request: int
    round: int
    history: bytes
    """As the round opened."""
    accounts: tuple[str, ...]
    """Of the cohort, by seat."""
    openers: tuple[str, ...]
    """Accounts that may open the slice: the requester, and those in the terms."""
    wallets: WalletSignatures | None = field(default=None, compare=False, repr=False)
    """Asks contract wallets; None: only keys sign."""

    def typed(self, message: Message) -> TypedData:
        """What a message's signature signs; not for a reveal."""
        at, value = (self.request, self.round), message.content
        if message.kind in SUM_KINDS:
            said = keccak(len(value).to_bytes(2) + value + message.more)
            return self.domain.typed("Sum", *at, self.history, _STEPS[message.kind], said)
        if message.kind is Kind.ROUND:
            return self.domain.typed("Round", *at, self.history, value)
        if message.kind is Kind.ATTEST:
            return self.domain.typed("Attest", *at, value, message.error)
        if message.kind is Kind.SLICE:
            return self.domain.typed("Slice", *at, keccak(value))
        return self.domain.typed(message.kind.name.capitalize(), *at, value)

    def key(self, kind: Kind) -> str:
        """Under which messages of a kind are kept."""
        return kind

    def own_key(self, message: Message) -> str:
        """Under which an account notes that it has said this, so that it says nothing else."""
        return self.key(message.kind)

    def well_formed(self, message: Message) -> bool:
        """Whether the lengths of its values are those of its kind."""
        return _well_formed(message)

    def speaker(self, message: Message) -> str | None:
        """The account that must have signed a message; None: nobody may say it."""
        if message.kind is Kind.SLICE:
            said: str = checksum(message.more)
            return said if message.seat == SLICE_SEAT and said in self.openers else None
        return self.accounts[message.seat] if message.seat < len(self.accounts) else None

    def look_up(self, messages: Sequence[Message], *, own: bool = False) -> None:
        """Ask the wallets in whose name these messages are: each up to the first message that it
        says it has not signed, and all up to the first of which the node does not say it; none
        twice. `own`: said or kept here, so that they come at once."""
        # A wallet may go back on its word: what it said then must not hide what others said.
        denied = set()
        for message in messages:
            # A reveal needs no signature.
            unsigned = not message.wallet or message.kind is Kind.REVEAL
            if unsigned or not self.well_formed(message):
                continue
            said = self.speaker(message)
            if said is None or said in denied or self.wallets is None:
                continue
            asked = said, self._digest(message), message.signed
            if self.wallets.known(*asked) is None:
                signed = self.wallets.look(*asked, own=own)
                if signed is None:
                    return
                if not signed:
                    denied.add(said)

    def require_signed(self, message: Message, said: str) -> bool:
        """Whether `said` signed a message; False where its wallet was not asked. Raises Forged."""
        if message.wallet:
            signed = None
            if self.wallets is not None:
                signed = self.wallets.known(said, self._digest(message), message.signed)
            if signed is False:
                raise Forged(f"the {message.kind} of seat {message.seat}: {said} has not signed it")
            return signed is not None
        if len(message.signed) != SIGNATURE_BYTES:
            return False
        try:
            signer = signer_of(self.signable(message), message.signed)
        except InvalidInput as error:
            raise Forged(f"the {message.kind} of seat {message.seat}: {error}") from error
        if signer != said:
            raise Forged(f"the {message.kind} of seat {message.seat} is signed by {signer}")
        return True

    def signable(self, message: Message) -> SignableMessage:
        """What a message's signature signs; not for a reveal."""
        return encode_typed_data(*self.typed(message))

    def _digest(self, message: Message) -> bytes:
        return signed_digest(self.signable(message))


@dataclass(frozen=True)
class LargeBallot(Ballot):
    """Of the committee of a large round, whose messages are for one start alone: after a void one
    round 1 starts over, with other models.

    | kind | value | extra |
    | --- | --- | --- |
    | slice | sealed key of the slice | who opens it (20) |
    | held | digest of the list of models held as submissions were over; zeros: none | |
    | pick | digest of the list of models | who proposes it (1), mask of the seats whose lists it
    follows from (2) |
    | vote | commitment to the digest of a sheet of scores | digest of the list (32) |
    | reveal | digest of that sheet | salt (32) |
    | tally | digest of the evidence | who proposes it (1) |
    | attest | digest of the global model; zeros: none | error (2) |
    | record | hash of the record | who proposes it (1), mask of the seats whose errors it has (2) |
    | round | hash of the record | |

    The seats take turns to propose pick, tally and record; see
    `provider.duties.large_rounds.proposals`.
    """

    def typed(self, message: Message) -> TypedData:
        at, value = (self.request, self.round, self.history), message.content
        if message.kind is Kind.ROUND:
            return self.domain.typed("LargeRound", *at, value)
        content = keccak(len(value).to_bytes(2) + value + message.more)
        return self.domain.typed("Step", *at, message.kind.value, content)

    def key(self, kind: Kind) -> str:
        return f"{kind} {self.start}"

    def own_key(self, message: Message) -> str:
        key = self.key(message.kind)
        return f"{key} {message.proposer}" if message.kind in PROPOSALS else key

    @property
    def start(self) -> str:
        """What tells this round from the same of another start."""
        return self.history.hex()[:16]

    def well_formed(self, message: Message) -> bool:
        if message.kind in (Kind.SLICE, Kind.ATTEST):
            return _well_formed(message)
        if message.kind in PROPOSALS and message.proposer >= len(self.accounts):
            return False
        wanted = _LARGE_EXTRA.get(message.kind)
        return len(message.content) == 32 and len(message.more) == wanted


_LARGE_EXTRA = {
    Kind.HELD: 0,
    Kind.PICK: 3,
    Kind.VOTE: 32,
    Kind.TALLY: 1,
    Kind.RECORD: 3,
    Kind.ROUND: 0,
}


@dataclass
class RoundMessages:
    """What has been said in a round. Not thread-safe."""

    ballot: Ballot
    messages: dict[tuple[Kind, int], Message] = field(default_factory=dict)
    contradictions: dict[tuple[Kind, int], Message] = field(default_factory=dict)
    """A second, different message of a kind and seat: one is proof enough."""

    def take(self, message: Message) -> bool:
        """Keep a message if it counts; whether it was new.

        The first of a kind and seat stands. A reveal without its commitment does not count yet.
        Raises Forged.
        """
        known = self.messages.get(message.at)
        if known is not None and known.value == message.value and known.extra == message.extra:
            return False
        if known is not None and message.at in self.contradictions:
            return False
        if not self.counts(message):
            return False
        if known is None:
            self.messages[message.at] = message
        else:
            self.contradictions[message.at] = message
        return True

    @property
    def words(self) -> frozenset[bytes]:
        """What is held."""
        return frozenset(one.word for one in self.all())

    def counts(self, message: Message) -> bool:
        """Whether a message is well formed and of one who may say it. Raises Forged."""
        if message.kind is Kind.REVEAL:
            return self._opens(message)
        if not self.ballot.well_formed(message):
            return False
        said = self.ballot.speaker(message)
        return said is not None and self.ballot.require_signed(message, said)

    def held(self, kind: Kind) -> Mapping[int, Message]:
        """The messages of a kind, by seat."""
        return {seat: one for (of, seat), one in self.messages.items() if of is kind}

    def all(self) -> list[Message]:
        return [*self.messages.values(), *self.contradictions.values()]

    def _opens(self, message: Message) -> bool:
        vote = self.messages.get((Kind.VOTE, message.seat))
        if vote is None or len(message.more) != 32 or len(message.content) != 32:
            return False
        ballot = self.ballot
        account = ballot.accounts[message.seat]
        at = (ballot.request, ballot.round, account)
        return ballot.domain.commitment(*at, message.number, message.more) == vote.content


def _well_formed(message: Message) -> bool:
    value, extra = len(message.content), len(message.more)
    if message.kind is Kind.SLICE:
        return value > 0 and extra == 20
    if message.kind is Kind.OPEN:
        return value > 0 and value % 16 == 0 and extra == _EXTRA[Kind.OPEN]
    if message.kind in SUM_KINDS:
        return value == 32 and extra == _EXTRA[message.kind]
    if message.kind is Kind.ATTEST:
        error = message.error
        return value == 32 and extra == 2 and (error <= MAX_SCORE or error == INVALID)
    of_usual_rounds = message.kind in (Kind.MODEL, Kind.VOTE, Kind.ROUND)
    return of_usual_rounds and value == 32 and extra == 0 and any(message.content)


def vote_bytes(word: int) -> bytes:
    """A packed vote, or BLIND, as a message's value."""
    assert word <= BLIND
    return word.to_bytes(32)
