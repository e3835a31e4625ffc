"""SharingMarket: requests, escrow, delivery, dispute, payment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.crypto import keccak

from fedpact.chain.abi import MARKET, SECOND
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.bindings.events import Delivered, RequestCreated, request_event
from fedpact.chain.bindings.structs import terms_struct
from fedpact.chain.records import BlockReference, Call
from fedpact.chain.scanner import indexed
from fedpact.errors import UnknownRequest
from fedpact.types.requests import Earned, Status, StoredRequest, Terms

DeliveryFields = tuple[tuple[int, int], bytes, bytes, Sequence[bytes]]
"""Ephemeral point, cipher, digest of the key, proof: fedpact.content.delivery.Delivery.fields."""
SharedFields = tuple[tuple[int, int], int, int]
"""Shared point, challenge, response: fedpact.content.delivery.SharedPoint.fields."""


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

    # Requester

    def create_request(self, terms: Terms) -> Call:
        """Publish and pay into escrow; the id is in the event RequestCreated."""
        return self.function("createRequest", terms_struct(terms), value=terms.value)

    def create_request_with_permit(self, terms: Terms, permit: Permit) -> Call:
        given = (permit.deadline, permit.v, permit.r, permit.s)
        return self.function(
            "createRequestWithPermit", terms_struct(terms), given, value=terms.value
        )

    def cancel(self, request: int) -> Call:
        return self.function("cancel", request)

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
        return self.function("withdraw", token, to)

    # Guardian

    def pause(self) -> Call:
        return self.function("pause")

    def unpause(self) -> Call:
        return self.function("unpause")

    # Views

    def request(self, request: int, block: BlockReference = None) -> StoredRequest:
        """The request as stored; raises UnknownRequest."""
        found = snake(self._view("request", request, block=block))
        stored = StoredRequest(status=Status(found.pop("status")), **found)
        if stored.status is Status.NONE:
            raise UnknownRequest(f"the market at {self.address} knows no request {request}")
        return stored

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
        """What the requester signs to accept a delivery (EIP-712)."""
        return encode_typed_data(
            domain_data={
                "name": "fedpact",
                "version": "2",
                "chainId": self._connection.chain_id,
                "verifyingContract": self.address,
            },
            message_types={"Accept": [{"name": "request", "type": "uint256"}]},
            message_data={"request": request},
        )

    def terms(self, request: int) -> Terms:
        """The terms as published; raises UnknownRequest."""
        return self.created(request).terms

    def created(self, request: int) -> RequestCreated:
        """The event of the request's creation; raises UnknownRequest."""
        for found in self._created([self._abi.event_topic("RequestCreated"), indexed(request)]):
            return found
        raise UnknownRequest(f"the market at {self.address} knows no request {request}")

    def asked(self, query_key: bytes) -> Iterator[RequestCreated]:
        """Requests with this query key, oldest first."""
        topic = self._abi.event_topic("RequestCreated")
        return self._created([topic, None, None, "0x" + query_key.hex()])

    def made_by(self, requester: str | None) -> Iterator[RequestCreated]:
        """Requests of an account (None: of everybody), oldest first."""
        topic = self._abi.event_topic("RequestCreated")
        by = None if requester is None else indexed(requester)
        return self._created([topic, None, by])

    def delivered(self, request: int) -> Delivered | None:
        """The delivery, once there is one."""
        for event in self.history([self._abi.event_topic("Delivered"), indexed(request)]):
            found = request_event(event)
            assert isinstance(found, Delivered)
            return found
        return None

    def terms_hash(self, terms: Terms) -> bytes:
        """keccak256(abi.encode(terms)): what the chain keeps of them."""
        return keccak(self._abi.functions["createRequest"].inputs.encode([terms_struct(terms)]))

    def _created(self, topics: Sequence[str | None]) -> Iterator[RequestCreated]:
        for event in self.history(topics):
            found = request_event(event)
            assert isinstance(found, RequestCreated)
            yield found
