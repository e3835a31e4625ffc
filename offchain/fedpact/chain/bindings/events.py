"""The events of a request, one class each.

Names and fields are the contracts' (contracts/interfaces), in snake case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fedpact.chain.bindings.binding import snake
from fedpact.chain.bindings.structs import start_of, terms_of
from fedpact.chain.records import Event
from fedpact.chain.signed_messages import Board
from fedpact.types.requests import Earned, MessageKind, Start, Terms


@dataclass(frozen=True)
class Place:
    """Where an event is on chain."""

    block: int
    log_index: int
    tx_hash: str
    timestamp: int | None
    """Of the block, in seconds, if the node says it."""


@dataclass(frozen=True)
class RequestEvent:
    """An event of a request."""

    at: Place
    request: int


# SharingMarket


@dataclass(frozen=True)
class RequestCreated(RequestEvent):
    requester: str
    query_key: bytes
    terms_hash: bytes
    terms: Terms


@dataclass(frozen=True)
class Cancelled(RequestEvent):
    pass


@dataclass(frozen=True)
class Delivered(RequestEvent):
    sender: str
    final_rounds: int
    ephemeral: tuple[int, int]
    """A point of BN254."""
    cipher: bytes
    key_digest: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True)
class Disputed(RequestEvent):
    shared: tuple[int, int]
    challenge: int
    response: int
    opened: bytes
    """What the delivery opened to."""


@dataclass(frozen=True)
class Collected(RequestEvent):
    cursor: bytes
    points: int


@dataclass(frozen=True)
class Settled(RequestEvent):
    pool: int
    points: int
    refund: int
    gas_refund: int


@dataclass(frozen=True)
class Paid(RequestEvent):
    account: str
    token: str
    amount: int
    credited: bool


# TrainingPool


@dataclass(frozen=True)
class Joined(RequestEvent):
    provider: str
    organisation: int
    samples: int
    attributes: bytes


@dataclass(frozen=True)
class Left(RequestEvent):
    provider: str


# TrainingRounds


@dataclass(frozen=True)
class Started(RequestEvent):
    member: str
    index: int
    start: Start


@dataclass(frozen=True)
class RoundOpened(RequestEvent):
    round: int
    history: bytes
    seed: bytes
    expected: int


@dataclass(frozen=True)
class ModelsSubmitted(RequestEvent):
    round: int
    mask: int
    digests: tuple[bytes, ...]


@dataclass(frozen=True)
class SliceOpened(RequestEvent):
    round: int
    sealed_key: bytes
    log: bytes
    """Of the round so far."""


@dataclass(frozen=True)
class VotesCommitted(RequestEvent):
    round: int
    mask: int
    commitments: tuple[bytes, ...]


@dataclass(frozen=True)
class VotesRevealed(RequestEvent):
    round: int
    mask: int
    votes: tuple[int, ...]


@dataclass(frozen=True)
class RoundTallied(RequestEvent):
    round: int
    blind: bool
    board: Board
    log: bytes
    """Of the round before the board."""


@dataclass(frozen=True)
class Attested(RequestEvent):
    round: int
    mask: int
    digest: bytes
    errors: int


@dataclass(frozen=True)
class RoundPosted(RequestEvent):
    round: int
    mask: int
    record: bytes
    """Hash of the record, which is in the transaction's calldata (see Rounds.posted_record)."""


@dataclass(frozen=True)
class RecordPosted(RequestEvent):
    """Of a round that a contract posted."""

    round: int
    record: dict[str, Any]


@dataclass(frozen=True)
class LargeRecordPosted(RequestEvent):
    """Of a large round that a contract posted."""

    round: int
    record: dict[str, Any]
    points: tuple[int, ...]


@dataclass(frozen=True)
class CommitteeDrawn(RequestEvent):
    """Who judges a large round is fixed."""

    round: int
    seed: bytes


@dataclass(frozen=True)
class DrawMoved(RequestEvent):
    """A later block than before draws the committee."""

    round: int
    draw_block: int


@dataclass(frozen=True)
class ModelForced(RequestEvent):
    """A trainer put its model into a large round by itself."""

    round: int
    index: int
    digest: bytes


@dataclass(frozen=True)
class RoundFinalised(RequestEvent):
    round: int
    leader: int
    digest: bytes
    error: int
    approvals: int


@dataclass(frozen=True)
class RoundFailed(RequestEvent):
    round: int
    void_start: bool


@dataclass(frozen=True)
class Credited(RequestEvent):
    cohort: int
    points: int
    extra: int
    digest: bytes

    @property
    def entry(self) -> Earned:
        return Earned(self.cohort, self.points, self.extra, self.digest)


@dataclass(frozen=True)
class Equivocated(RequestEvent):
    round: int
    seat: int
    kind: MessageKind


@dataclass(frozen=True)
class Returning(RequestEvent):
    round: int
    seat: int


@dataclass(frozen=True)
class Halted(RequestEvent):
    pass


@dataclass(frozen=True)
class RoundsEnded(RequestEvent):
    round: int
    reached: bool
    final_rounds: int


# ResaleMarket


@dataclass(frozen=True)
class RetrievalRecorded(RequestEvent):
    requester: str
    digest: bytes
    """Of the CID of the lookup's record."""


@dataclass(frozen=True)
class ResaleOffered(RequestEvent):
    price: int
    token: str


@dataclass(frozen=True)
class PointsTallied(RequestEvent):
    cursor: bytes
    points: int


@dataclass(frozen=True)
class ResultBought(RequestEvent):
    buyer: str
    price: int
    key: tuple[int, int]
    """A point of BN254."""
    deadline: int


@dataclass(frozen=True)
class KeySealed(RequestEvent):
    buyer: str
    maker: str
    index: int
    cipher: bytes
    deadline: int


@dataclass(frozen=True)
class SealDisputed(RequestEvent):
    buyer: str
    index: int
    opened: bytes
    forfeited: int
    deadline: int


@dataclass(frozen=True)
class ResultSold(RequestEvent):
    buyer: str
    price: int


@dataclass(frozen=True)
class ResaleClaimed(RequestEvent):
    maker: str
    index: int
    to: str
    amount: int


@dataclass(frozen=True)
class PurchaseRefunded(RequestEvent):
    buyer: str
    amount: int


def request_event(event: Event) -> RequestEvent | None:
    """The typed form of a decoded log entry; None if it is not a request's event."""
    kind = _KINDS.get(event.name)
    if kind is None:
        return None
    at = Place(event.block, event.log_index, event.tx_hash, event.timestamp)
    facts = snake(event.args)
    shape = _SHAPES.get(kind)
    return kind(at=at, **(facts if shape is None else shape(facts)))


def _board(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "board": Board(**snake(facts["board"]))}


def _delivered(facts: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(facts)
    delivery = snake(found.pop("delivery"))
    point = delivery.pop("ephemeral")
    return {**found, **delivery, "ephemeral": (point["x"], point["y"])}


def _disputed(facts: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(facts)
    proof = dict(found.pop("shared"))
    point = proof.pop("shared")
    return {**found, **proof, "shared": (point["x"], point["y"])}


def _finalised(facts: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(facts)
    return {"error": found.pop("error_"), **found}


def _bought(facts: Mapping[str, Any]) -> dict[str, Any]:
    point = facts["key"]
    return {**facts, "key": (point["x"], point["y"])}


_SHAPES: dict[type[RequestEvent], Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    RequestCreated: lambda facts: {**facts, "terms": terms_of(facts["terms"])},
    Delivered: _delivered,
    Disputed: _disputed,
    Started: lambda facts: {**facts, "start": start_of(facts["start"])},
    RoundTallied: _board,
    RoundFinalised: _finalised,
    Equivocated: lambda facts: {**facts, "kind": MessageKind(facts["kind"])},
    ResultBought: _bought,
}
_UNTIL_SETTLED = (Cancelled, Delivered, Disputed, Collected, Settled)
_AT_ANY_TIME = (
    *(Paid, RetrievalRecorded, ResaleOffered, PointsTallied, ResultBought, KeySealed),
    *(SealDisputed, ResultSold, ResaleClaimed, PurchaseRefunded),
)


def last_before(kind: type[RequestEvent]) -> type[RoundsEnded] | type[Settled] | None:
    """After which no event of this kind comes, of what comes once in a request; None: there is no
    such end."""
    if kind in _AT_ANY_TIME:
        return None
    return Settled if kind in _UNTIL_SETTLED else RoundsEnded


_KINDS: dict[str, type[RequestEvent]] = {
    kind.__name__: kind for kind in RequestEvent.__subclasses__()
}
