"""What nodes say to each other: frozen messages with one byte form each, and how they are carried.

A message is one request or one reply. Bytes are big-endian, lists carry their length first; what
is longer than its bound is refused before it is read. A transport carries them between daemons
(HTTP) or within one process (simulation); the routing core knows neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Protocol

from fedpact.errors import RetrievalError
from fedpact.retrieval.signature import LONGEST, Signature

VERSION = 1
NODE_BYTES = 20
MOST_DETAILS = 2_048
"""Bytes of a profile besides its signature."""
MOST_ENDPOINT = 256
MOST_ENVELOPE = 1_024
"""Bytes of a requester's signed request."""
MOST_FOUND = 64
MOST_CONTACTS = 8_000
MOST_MEMBERS = 64
"""Records in one reply to `Members`; a longer list is read on from `after`."""
LONGEST_MESSAGE = 1 << 18


@dataclass(frozen=True)
class Prefix:
    """The first `length` bits of a 64-bit id: a community. The lower bits of `bits` are 0."""

    bits: int
    length: int

    def __post_init__(self) -> None:
        if not 0 <= self.length <= 64 or not 0 <= self.bits < 1 << 64:
            raise RetrievalError(f"prefix: {self.length} bits of {self.bits:#x}")
        if self.bits & ((1 << (64 - self.length)) - 1):
            raise RetrievalError(f"prefix: {self.bits:#x} has bits beyond its {self.length}")

    @classmethod
    def of(cls, node_id: int, length: int) -> "Prefix":
        """The first `length` bits of an id."""
        return cls(node_id >> (64 - length) << (64 - length), length)

    def holds(self, node_id: int) -> bool:
        """Whether an id begins with this prefix."""
        return (node_id ^ self.bits) >> (64 - self.length) == 0


@dataclass(frozen=True)
class Record:
    """A node's published profile: its signature, and the rest of the document as bytes."""

    node: bytes
    """Address of its account, 20 bytes."""
    signature: Signature
    details: bytes = b""
    """Categories, size, endpoint and the like; the routing core does not read them."""

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of signature and details: the digest of the profile's CID, as on chain."""
        return sha256(self.document).digest()

    @property
    def document(self) -> bytes:
        """The profile as it lies in the content store."""
        return self.signature.encode() + self.details

    @classmethod
    def of_document(cls, node: bytes, document: bytes) -> "Record":
        """The record of a profile from the content store; raises RetrievalError for no profile."""
        signature, details = Signature.read(document)
        if len(details) > MOST_DETAILS:
            raise RetrievalError(f"profile: {len(document)} bytes are too many")
        return cls(node, signature, details)


@dataclass(frozen=True)
class Contact:
    """Where a node is said to be. Claimed by whoever names it; its own reply proves its id."""

    node: bytes
    id: int
    endpoint: str = ""
    """Its address in the transport; empty in memory."""
    length: int = 64
    """Bits of its community's prefix; 64 where they are not known."""

    @property
    def community(self) -> Prefix:
        """The community that it is said to be of."""
        return Prefix.of(self.id, self.length)


@dataclass(frozen=True)
class Lookup:
    """Asks one node for what its community holds that is like the query, and for others nearer."""

    query: Signature
    want: int
    """Records to return at most."""
    envelope: bytes = b""
    """The requester's signed request, checked by whoever receives it."""


@dataclass(frozen=True)
class LookupReply:
    """Reply to `Lookup`."""

    responder: Record
    community: Prefix
    """The responder's, as its own tables have it."""
    size: int
    """Members of that community."""
    records: tuple[Record, ...]
    """The most like the query of its community, best first."""
    contacts: tuple[Contact, ...]
    """Of its table: those whose communities are nearest to the query."""


@dataclass(frozen=True)
class Flood:
    """Lu et al.'s own form (mode `paper`): asks a node for itself, and to whom it passes this on.

    The reply is a `LookupReply`: the node's own record if it is within the distance, and as
    contacts all nodes that it would pass the request on to.
    """

    query: Signature
    place: int
    """Id that the query would have: its path in the codebook, then zeros."""
    within: int
    """Relevant distance (equation 2): ids whose XOR with `place` is less are to be traversed."""
    first: bool
    """Whether the receiver is of the community that the request entered at."""
    envelope: bytes = b""


@dataclass(frozen=True)
class Members:
    """Asks for the published profiles of the community that holds an id: to join, to refresh."""

    id: int
    after: bytes = b""
    """Only nodes with a greater address (20 bytes, or empty: from the first)."""


@dataclass(frozen=True)
class MemberList:
    """Reply to `Members`; empty `records` from one that is not of that community."""

    responder: Record
    community: Prefix
    size: int
    records: tuple[Record, ...]
    """By ascending address."""
    contacts: tuple[Contact, ...]
    """Of its table, for the newcomer's; of communities nearer to the id where it is no member."""


@dataclass(frozen=True)
class Announce:
    """Tells a member of a newcomer, or of a changed profile."""

    record: Record


@dataclass(frozen=True)
class Acknowledged:
    """Reply to `Announce`."""

    responder: Record
    taken: bool
    """False where the digest on chain is another, or the id belongs to another community."""


@dataclass(frozen=True)
class Ping:
    """Asks whether a node is there; answered by `Acknowledged`, `taken` true."""


Request = Lookup | Flood | Members | Announce | Ping
Reply = LookupReply | MemberList | Acknowledged


class Transport(Protocol):
    """Carries requests, several at once. One routing core runs over any of these."""

    def ask(self, asked: Sequence[tuple[Contact, Request]]) -> Sequence[Reply | None]:
        """A reply for each, None from whoever gave none in time or gave no message.

        Never raises for what a node at the other end does.
        """


Verify = Callable[[Record], bool]
"""Whether a record is the one whose digest the chain has for its node, and that may act."""


def encode(message: Request | Reply) -> bytes:
    """The byte form of a message."""
    writer = _Writer()
    kind = _KINDS.index(type(message))
    writer.raw(bytes([VERSION, kind]))
    match message:
        case Lookup(query, want, envelope):
            writer.raw(query.encode()).number(want, 2).blob(envelope)
        case LookupReply(responder, community, size, records, contacts) | MemberList(
            responder, community, size, records, contacts
        ):
            writer.record(responder).prefix(community).number(size, 4)
            writer.number(len(records), 2)
            for record in records:
                writer.record(record)
            writer.number(len(contacts), 2)
            for contact in contacts:
                writer.contact(contact)
        case Flood(query, place, within, first, envelope):
            writer.raw(query.encode()).number(place, 8).number(within, 9).number(int(first), 1)
            writer.blob(envelope)
        case Members(node_id, after):
            writer.number(node_id, 8).blob(after)
        case Announce(record):
            writer.record(record)
        case Acknowledged(responder, taken):
            writer.record(responder).number(int(taken), 1)
    return bytes(writer.content)


def decode(content: bytes) -> Request | Reply:
    """The message whose byte form is `content`; raises RetrievalError where it is none."""
    if len(content) > LONGEST_MESSAGE:
        raise RetrievalError(f"message: {len(content)} bytes; {LONGEST_MESSAGE} are allowed")
    reader = _Reader(content)
    version, kind = reader.number(1), reader.number(1)
    if version != VERSION or kind >= len(_KINDS):
        raise RetrievalError(f"message: version {version}, kind {kind} is not known")
    message = _read(reader, _KINDS[kind])
    if reader.left:
        raise RetrievalError(f"message: {reader.left} bytes follow it")
    return message


def decode_request(content: bytes) -> Request:
    """As `decode`, for a request alone."""
    message = decode(content)
    if not isinstance(message, Request):
        raise RetrievalError(f"message: a request was expected, not {type(message).__name__}")
    return message


def decode_reply(content: bytes) -> Reply:
    """As `decode`, for a reply alone."""
    message = decode(content)
    if not isinstance(message, Reply):
        raise RetrievalError(f"message: a reply was expected, not {type(message).__name__}")
    return message


_KINDS: tuple[type[Request] | type[Reply], ...] = (
    Lookup,
    LookupReply,
    Flood,
    Members,
    MemberList,
    Announce,
    Acknowledged,
    Ping,
)


def _read(reader: "_Reader", kind: type[Request] | type[Reply]) -> Request | Reply:
    if kind is Lookup:
        return Lookup(reader.signature(), reader.at_most(2, MOST_FOUND), reader.blob(MOST_ENVELOPE))
    if kind is Flood:
        query, place, within = reader.signature(), reader.number(8), reader.number(9)
        return Flood(query, place, within, reader.at_most(1, 1) == 1, reader.blob(MOST_ENVELOPE))
    if kind is Members:
        node_id, after = reader.number(8), reader.blob(NODE_BYTES)
        if len(after) not in (0, NODE_BYTES):
            raise RetrievalError(f"message: an address of {len(after)} bytes")
        return Members(node_id, after)
    if kind is Ping:
        return Ping()
    if kind is Announce:
        return Announce(reader.record())
    if kind is Acknowledged:
        return Acknowledged(reader.record(), reader.at_most(1, 1) == 1)
    responder, community, size = reader.record(), reader.prefix(), reader.number(4)
    most = MOST_FOUND if kind is LookupReply else MOST_MEMBERS
    records = tuple(reader.record() for _ in range(reader.at_most(2, most)))
    contacts = tuple(reader.contact() for _ in range(reader.at_most(2, MOST_CONTACTS)))
    if kind is LookupReply:
        return LookupReply(responder, community, size, records, contacts)
    return MemberList(responder, community, size, records, contacts)


class _Writer:
    def __init__(self) -> None:
        self.content = bytearray()

    def raw(self, content: bytes) -> "_Writer":
        self.content += content
        return self

    def number(self, value: int, size: int) -> "_Writer":
        try:
            return self.raw(value.to_bytes(size, "big"))
        except OverflowError as error:
            raise RetrievalError(f"message: {value} does not fit {size} bytes") from error

    def blob(self, content: bytes) -> "_Writer":
        return self.number(len(content), 2).raw(content)

    def record(self, record: Record) -> "_Writer":
        if len(record.node) != NODE_BYTES:
            raise RetrievalError(f"message: an address of {len(record.node)} bytes")
        return self.raw(record.node).raw(record.signature.encode()).blob(record.details)

    def prefix(self, prefix: Prefix) -> "_Writer":
        return self.number(prefix.bits, 8).number(prefix.length, 1)

    def contact(self, contact: Contact) -> "_Writer":
        if len(contact.node) != NODE_BYTES:
            raise RetrievalError(f"message: an address of {len(contact.node)} bytes")
        return (
            self.raw(contact.node)
            .number(contact.id, 8)
            .number(contact.length, 1)
            .blob(contact.endpoint.encode())
        )


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._place

    def raw(self, size: int) -> bytes:
        if size > self.left:
            raise RetrievalError(f"message: ends {size - self.left} bytes early")
        self._place += size
        return self._content[self._place - size : self._place]

    def number(self, size: int) -> int:
        return int.from_bytes(self.raw(size), "big")

    def at_most(self, size: int, most: int) -> int:
        value = self.number(size)
        if value > most:
            raise RetrievalError(f"message: {value} where {most} are allowed")
        return value

    def blob(self, most: int) -> bytes:
        return self.raw(self.at_most(2, most))

    def signature(self) -> Signature:
        head = self._content[self._place : self._place + LONGEST]
        signature, rest = Signature.read(head)
        self._place += len(head) - len(rest)
        return signature

    def record(self) -> Record:
        return Record(self.raw(NODE_BYTES), self.signature(), self.blob(MOST_DETAILS))

    def prefix(self) -> Prefix:
        return Prefix(self.number(8), self.number(1))

    def contact(self) -> Contact:
        node, node_id, length = self.raw(NODE_BYTES), self.number(8), self.at_most(1, 64)
        try:
            return Contact(node, node_id, self.blob(MOST_ENDPOINT).decode(), length)
        except UnicodeDecodeError as error:
            raise RetrievalError("message: an endpoint that is not UTF-8") from error
