"""SharingMarket: requests, escrow, delivery, dispute, payment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_account.messages import SignableMessage
from eth_utils.crypto import keccak

from fedpact.chain.abi import MARKET, SECOND
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.bindings.events import RequestCreated, request_event
from fedpact.chain.bindings.pool import Pool
from fedpact.chain.bindings.structs import terms_struct
from fedpact.chain.connection import Connection
from fedpact.chain.recent_logs import events_in, logs_backwards, not_before
from fedpact.chain.records import BlockReference, Call
from fedpact.chain.scanner import SETTLED, indexed
from fedpact.chain.signed_messages import Domain
from fedpact.errors import NodeUnreachable, UnknownRequest
from fedpact.types.requests import Earned, Status, StoredRequest, Terms

DeliveryFields = tuple[tuple[int, int], bytes, bytes, Sequence[bytes]]
"""Ephemeral point, cipher, digest of the key, proof: fedpact.content.delivery.Delivery.fields."""
SharedFields = tuple[tuple[int, int], int, int]
"""Shared point, challenge, response: fedpact.content.wrong_key_proof.SharedPoint.fields."""


@dataclass(frozen=True)
class Permit:
    """A signed allowance for the market (EIP-2612)."""

    deadline: int
    v: int
    r: bytes
    s: bytes


class Market(Binding):
    """What contracts/interfaces/ISharingMarket.sol documents."""

    NAME = MARKET
    PROTOCOL = SECOND

    def __init__(self, connection: Connection, address: str, pool: Pool) -> None:
        super().__init__(connection, address)
        self._pool = pool
        self._known: dict[int, RequestCreated] = {}
        """Creations in blocks that will not be reorganised."""

    @property
    def domain(self) -> Domain:
        """For the requester's signed acceptance."""
        return Domain(self._connection.chain_id, self.address)

    # Requester

    def create_request(self, terms: Terms) -> Call:
        """Publish and pay into escrow; the id is in the event RequestCreated."""
        return self.own_function("createRequest", terms_struct(terms), value=terms.value)

    def create_request_with_permit(self, terms: Terms, permit: Permit) -> Call:
        given = (permit.deadline, permit.v, permit.r, permit.s)
        return self.own_function(
            "createRequestWithPermit", terms_struct(terms), given, value=terms.value
        )

    def cancel(self, request: int) -> Call:
        return self.own_function("cancel", request)

    def dispute(
        self, request: int, terms: Terms, delivery: DeliveryFields, shared: SharedFields
    ) -> Call:
        return self.function("dispute", request, terms_struct(terms), delivery, shared)

    # Anyone

    def deliver(self, request: int, terms: Terms, delivery: DeliveryFields) -> Call:
        return self.function("deliver", request, terms_struct(terms), delivery)

    def settle(
        self, request: int, terms: Terms, entries: Sequence[Earned], acceptance: bytes = b""
    ) -> Call:
        """`entries`: what the rounds earned; `acceptance`: the requester's signature, or none."""
        given = [entry.fields for entry in entries]
        return self.function("settle", request, terms_struct(terms), given, acceptance)

    def collect(self, request: int, terms: Terms, before: bytes, entries: Sequence[Earned]) -> Call:
        """Take in the end of a long list; `before`: the running hash before `entries`."""
        given = [entry.fields for entry in entries]
        return self.function("collect", request, terms_struct(terms), before, given)

    def pay(self, request: int, terms: Terms, indices: Sequence[int]) -> Call:
        """Pay members of a settled request, by pool index."""
        return self.function("pay", request, terms_struct(terms), list(indices))

    def withdraw(self, token: str, to: str) -> Call:
        return self.own_function("withdraw", token, to)

    # Guardian

    def pause(self) -> Call:
        return self.own_function("pause")

    def unpause(self) -> Call:
        return self.own_function("unpause")

    # Views

    def request(self, request: int, block: BlockReference = None) -> StoredRequest:
        """The request as stored; raises UnknownRequest."""
        if not 0 < request < 1 << 256:
            raise UnknownRequest(f"no request has the number {request}: they begin with 1")
        [stored] = self.all_stored([request], block)
        if stored.status is Status.NONE:
            raise UnknownRequest(f"the market at {self.address} knows no request {request}")
        return stored

    def all_stored(
        self, requests: Sequence[int], block: BlockReference = None
    ) -> list[StoredRequest]:
        """These requests as stored, in one round trip; status NONE for one that does not exist."""
        calls = [self.function("request", number) for number in requests]
        answers = self._connection.read(calls, block)
        found = [snake(self.decoded("request", one)) for one in answers]
        return [StoredRequest(status=Status(one.pop("status")), **one) for one in found]

    def request_count(self, block: BlockReference = None) -> int:
        """Number of requests; ids start at 1."""
        return int(self._view("requestCount", block=block))

    def requester_of(self, request: int, block: BlockReference = None) -> str:
        return str(self._view("requesterOf", request, block=block))

    def balance_of(self, account: str, token: str, block: BlockReference = None) -> int:
        """What an account could not take and may withdraw."""
        return int(self._view("balanceOf", account, token, block=block))

    def unpaid(self, request: int, index: int, block: BlockReference = None) -> int:
        """What `pay` would pay to a member now."""
        return int(self._view("unpaid", request, index, block=block))

    def all_unpaid(
        self, request: int, members: int, block: BlockReference = None
    ) -> dict[int, int]:
        """What `pay` would pay now, by index, of those below `members` to whom anything is due."""
        calls = [self.function("unpaid", request, index) for index in range(members)]
        answers = self._connection.read(calls, block)
        due = [int(self.decoded("unpaid", one)) for one in answers]
        return {index: amount for index, amount in enumerate(due) if amount}

    def min_window(self, block: BlockReference = None) -> int:
        return int(self._view("minWindow", block=block))

    def paused(self, block: BlockReference = None) -> bool:
        """Whether new requests are stopped."""
        return bool(self._view("paused", block=block))

    def guardian(self, block: BlockReference = None) -> str:
        return str(self._view("owner", block=block))

    def accept_digest(self, request: int, block: BlockReference = None) -> bytes:
        """What the requester signs to accept a delivery, as the contract computes it."""
        return bytes(self._view("acceptDigest", request, block=block))

    def acceptance(self, request: int) -> SignableMessage:
        """What the requester signs to accept a delivery."""
        return self.domain.acceptance(request)

    def terms(self, request: int) -> Terms:
        """The terms as published; raises UnknownRequest."""
        return self.created(request).terms

    def created(self, request: int) -> RequestCreated:
        """The event of the request's creation, its terms checked against what the contract stores.

        Looked for backwards from the latest block that it can be in, so that it takes a number of
        queries that grows with the request's window to join, not with the chain. Raises
        UnknownRequest; NodeUnreachable if the node returns no such event.
        """
        stored = self.request(request)
        known = self._known.get(request)
        if known is not None and known.terms_hash == stored.terms_hash:
            return known
        # All that follows is of one block: the latest one may be older than what was just read.
        head = self._connection.frame()
        try:
            stored = self.request(request, head)
        except UnknownRequest as error:
            raise NodeUnreachable(
                f"the node's latest block, {head.block_number}, is older than request {request}"
            ) from error
        topics = [self._abi.event_topic("RequestCreated"), indexed(request)]
        start = self._connection.deployment.block
        newest = not_before(self._connection, self._pool.facts(request, head).closed_at, head)
        logs = logs_backwards(self._connection, newest, start, address=self.address, topics=topics)
        for event in events_in(self._connection, logs):
            found = request_event(event)
            assert isinstance(found, RequestCreated)
            if self.terms_hash(found.terms) == stored.terms_hash:
                if found.at.block <= head.block_number - SETTLED:
                    self._known[request] = found
                return found
        raise NodeUnreachable(
            f"the node returns no event of the creation of request {request}: it has not read its"
            " latest logs yet, or has deleted old ones"
        )

    def numbers_of(self, requester: str | None, block: BlockReference = None) -> list[int]:
        """The requests of an account (None: of everybody), oldest first: from the contract's state,
        a call a request."""
        numbers = list(range(1, self.request_count(block) + 1))
        if requester is None:
            return numbers
        calls = [self.function("requesterOf", number) for number in numbers]
        makers = (self.decoded("requesterOf", one) for one in self._connection.read(calls, block))
        return [one for one, maker in zip(numbers, makers, strict=True) if maker == requester]

    def having(self, status: Status, requests: Sequence[int]) -> list[int]:
        """Those of these requests that have a status."""
        found = zip(requests, self.all_stored(requests), strict=True)
        return [number for number, one in found if one.status is status]

    def made_since(self, block: int, requester: str) -> Iterator[RequestCreated]:
        """Requests of an account from a block on, oldest first."""
        topics = [self._abi.event_topic("RequestCreated"), None, indexed(requester)]
        for event in self.history(topics, block):
            found = request_event(event)
            assert isinstance(found, RequestCreated)
            yield found

    def terms_hash(self, terms: Terms) -> bytes:
        """keccak256(abi.encode(terms)): what the chain keeps of them."""
        return keccak(self._abi.functions["createRequest"].inputs.encode([terms_struct(terms)]))
