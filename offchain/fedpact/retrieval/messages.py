"""Messages between nodes: frozen, with one byte form each, and carried by a transport.

A message is one request or one reply. Numbers are big-endian, lists start with their length;
anything longer than its bound is refused unread. A transport carries messages between daemons
(HTTP) or within one process (simulation); the routing core depends on neither.
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
MAX_DETAILS = 2_048
"""Most bytes of a profile without its signature."""
MAX_ENDPOINT = 256
MAX_ENVELOPE = 1_024
"""Most bytes of a requester's signed request."""
MAX_FOUND = 64
MAX_CONTACTS = 8_000
MAX_MEMBERS = 64
"""Most records in one reply to `Members`; the rest follows with `after`."""
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
        """Whether an id starts with this prefix."""
        return (node_id ^ self.bits) >> (64 - self.length) == 0


@dataclass(frozen=True)
class Record:
    """A node's published profile: its signature, and the rest of the document as bytes."""

    node: bytes
    """Address of its account, 20 bytes."""
    signature: Signature
    details: bytes = b""
    """Categories, size, endpoint and so on; the routing core does not read them."""

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of signature and details: the digest of the profile's CID, as on chain."""
        return sha256(self.document).digest()

    @property
    def document(self) -> bytes:
        """The profile's bytes in the content store."""
        return self.signature.encode() + self.details

    @classmethod
    def of_document(cls, node: bytes, document: bytes) -> "Record":
        """The record of a profile from the content store; raises RetrievalError."""
        signature, details = Signature.read(document)
        if len(details) > MAX_DETAILS:
            raise RetrievalError(f"profile: {len(document)} bytes are too many")
        return cls(node, signature, details)


@dataclass(frozen=True)
class Contact:
    """A node's claimed id and address; only its own reply proves its id."""

    node: bytes
    id: int
    endpoint: str = ""
    """Its address in the transport; empty in memory."""
    length: int = 64
    """Bits of its community's prefix; 64 if unknown."""

    @property
    def community(self) -> Prefix:
        """Its claimed community."""
        return Prefix.of(self.id, self.length)


@dataclass(frozen=True)
class Lookup:
    """Asks a node for its community's records most like the query, and for nearer contacts."""

    query: Signature
    want: int
    """Most records to return."""
    envelope: bytes = b""
    """The requester's signed request; every receiver checks it."""


@dataclass(frozen=True)
class LookupReply:
    """Reply to `Lookup`."""

    responder: Record
    community: Prefix
    """The responder's, by its own table."""
    size: int
    """Number of members of that community."""
    records: tuple[Record, ...]
    """The community's records most like the query, best first."""
    contacts: tuple[Contact, ...]
    """Contacts from its table in the communities nearest to the query."""


@dataclass(frozen=True)
class Flood:
    """Lu et al.'s own search (mode `paper`): asks a node for its record, and where to forward this.

    The reply is a `LookupReply`: the node's own record if it is within the distance, and as
    contacts all nodes to which it would forward the request.
    """

    query: Signature
    target: int
    """The query's id: its path in the codebook, then zeros."""
    within: int
    """Relevant distance (equation 2): visits ids whose XOR with `target` is less."""
    first: bool
    """Whether the receiver is in the community where the request entered."""
    envelope: bytes = b""


@dataclass(frozen=True)
class Members:
    """Asks for the published profiles of an id's community, to join or to refresh."""

    id: int
    after: bytes = b""
    """Only nodes with a greater address (20 bytes); empty: all."""


@dataclass(frozen=True)
class MemberList:
    """Reply to `Members`; `records` is empty if the node is not in that community."""

    responder: Record
    community: Prefix
    size: int
    records: tuple[Record, ...]
    """By ascending address."""
    contacts: tuple[Contact, ...]
    """Contacts from its table; those in communities nearer to the id if it is no member."""


@dataclass(frozen=True)
class Announce:
    """Informs a member of a newcomer or a changed profile."""

    record: Record


@dataclass(frozen=True)
class Acknowledged:
    """Reply to `Announce`."""

    responder: Record
    taken: bool
    """False if the digest differs from the chain's, or the id belongs to another community."""


@dataclass(frozen=True)
class Ping:
    """Asks whether a node is alive; answered by `Acknowledged`, `taken` true."""


Request = Lookup | Flood | Members | Announce | Ping
Reply = LookupReply | MemberList | Acknowledged


class Transport(Protocol):
    """Carries requests, several at once; the routing core runs over any implementation."""

    def ask(
        self, asked: Sequence[tuple[Contact, Request]], seconds: float | None = None
    ) -> Sequence[Reply | None]:
        """A reply for each; None if it came too late or was no valid message.

        seconds: for all of them; who has not been asked by then is left out.
        Never raises because of what another node does.
        """


Verify = Callable[[Record], bool]
"""Whether the chain has this record's digest for its node, and the node is active."""


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
        case Flood(query, target, within, first, envelope):
            writer.raw(query.encode()).number(target, 8).number(within, 9).number(int(first), 1)
            writer.blob(envelope)
        case Members(node_id, after):
            writer.number(node_id, 8).blob(after)
        case Announce(record):
            writer.record(record)
        case Acknowledged(responder, taken):
            writer.record(responder).number(int(taken), 1)
    return bytes(writer.content)


def decode(content: bytes) -> Request | Reply:
    """The message whose byte form is `content`; raises RetrievalError if it is none."""
    if len(content) > LONGEST_MESSAGE:
        raise RetrievalError(f"message: {len(content)} bytes, at most {LONGEST_MESSAGE}")
    reader = _Reader(content)
    version, kind = reader.number(1), reader.number(1)
    if version != VERSION or kind >= len(_KINDS):
        raise RetrievalError(f"message: version {version}, kind {kind} is unknown")
    message = _read(reader, _KINDS[kind])
    if reader.left:
        raise RetrievalError(f"message: {reader.left} extra bytes at the end")
    return message


def decode_request(content: bytes) -> Request:
    """As `decode`, for requests only."""
    message = decode(content)
    if not isinstance(message, Request):
        raise RetrievalError(f"message: {type(message).__name__} is not a request")
    return message


def decode_reply(content: bytes) -> Reply:
    """As `decode`, for replies only."""
    message = decode(content)
    if not isinstance(message, Reply):
        raise RetrievalError(f"message: {type(message).__name__} is not a reply")
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
        return Lookup(reader.signature(), reader.at_most(2, MAX_FOUND), reader.blob(MAX_ENVELOPE))
    if kind is Flood:
        query, target, within = reader.signature(), reader.number(8), reader.number(9)
        return Flood(query, target, within, reader.at_most(1, 1) == 1, reader.blob(MAX_ENVELOPE))
    if kind is Members:
        node_id, after = reader.number(8), reader.blob(NODE_BYTES)
        if len(after) not in (0, NODE_BYTES):
            raise RetrievalError(f"message: address of {len(after)} bytes")
        return Members(node_id, after)
    if kind is Ping:
        return Ping()
    if kind is Announce:
        return Announce(reader.record())
    if kind is Acknowledged:
        return Acknowledged(reader.record(), reader.at_most(1, 1) == 1)
    responder, community, size = reader.record(), reader.prefix(), reader.number(4)
    most = MAX_FOUND if kind is LookupReply else MAX_MEMBERS
    records = tuple(reader.record() for _ in range(reader.at_most(2, most)))
    contacts = tuple(reader.contact() for _ in range(reader.at_most(2, MAX_CONTACTS)))
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
            raise RetrievalError(f"message: {value} does not fit into {size} bytes") from error

    def blob(self, content: bytes) -> "_Writer":
        return self.number(len(content), 2).raw(content)

    def record(self, record: Record) -> "_Writer":
        if len(record.node) != NODE_BYTES:
            raise RetrievalError(f"message: address of {len(record.node)} bytes")
        return self.raw(record.node).raw(record.signature.encode()).blob(record.details)

    def prefix(self, prefix: Prefix) -> "_Writer":
        return self.number(prefix.bits, 8).number(prefix.length, 1)

    def contact(self, contact: Contact) -> "_Writer":
        if len(contact.node) != NODE_BYTES:
            raise RetrievalError(f"message: address of {len(contact.node)} bytes")
        return (
            self.raw(contact.node)
            .number(contact.id, 8)
            .number(contact.length, 1)
            .blob(contact.endpoint.encode())
        )


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._offset

    def raw(self, size: int) -> bytes:
        if size > self.left:
            raise RetrievalError(f"message: ends {size - self.left} bytes early")
        self._offset += size
        return self._content[self._offset - size : self._offset]

    def number(self, size: int) -> int:
        return int.from_bytes(self.raw(size), "big")

    def at_most(self, size: int, most: int) -> int:
        value = self.number(size)
        if value > most:
            raise RetrievalError(f"message: length {value}, at most {most}")
        return value

    def blob(self, most: int) -> bytes:
        return self.raw(self.at_most(2, most))

    def signature(self) -> Signature:
        head = self._content[self._offset : self._offset + LONGEST]
        signature, rest = Signature.read(head)
        self._offset += len(head) - len(rest)
        return signature

    def record(self) -> Record:
        return Record(self.raw(NODE_BYTES), self.signature(), self.blob(MAX_DETAILS))

    def prefix(self) -> Prefix:
        return Prefix(self.number(8), self.number(1))

    def contact(self) -> Contact:
        node, node_id, length = self.raw(NODE_BYTES), self.number(8), self.at_most(1, 64)
        try:
            return Contact(node, node_id, self.blob(MAX_ENDPOINT).decode(), length)
        except UnicodeDecodeError as error:
            raise RetrievalError("message: the endpoint is not UTF-8") from error
