"""SharingMarket: requests, joining, escrow, delivery, payment."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedpact.chain.abi import MARKET
from fedpact.chain.bindings.binding import Binding, camel, snake
from fedpact.chain.bindings.rounds import Rounds
from fedpact.chain.connection import Connection
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Receipt
from fedpact.errors import UnknownRequest
from fedpact.types.rounds import ApprovalRule, LeaderRule, RequestRecord, RequestStatus, Terms


class Market(Binding):
    """What ISharingMarket.sol documents; amounts in wei, times in seconds, digests 32 bytes."""

    NAME = MARKET

    def __init__(self, connection: Connection, address: str, rounds: Rounds) -> None:
        super().__init__(connection, address)
        self._rounds = rounds

    # Requester

    def create_request(self, keys: AccountKeys, terms: Terms, payment: int) -> Receipt:
        """Publish and pay into escrow; the id is `.event("RequestCreated").args["requestId"]`."""
        return self._send(keys, "createRequest", camel(terms), value=payment)

    def cancel(self, keys: AccountKeys, request_id: int) -> Receipt:
        return self._send(keys, "cancel", request_id)

    def refund(self, keys: AccountKeys, request_id: int, accounts: Sequence[str]) -> Receipt:
        return self._send(keys, "refund", request_id, accounts)

    # Providers

    def join(self, keys: AccountKeys, request_id: int, samples: int, attributes: bytes) -> Receipt:
        """Take a seat: `.event("Joined").args["seat"]`."""
        return self._send(keys, "join", request_id, samples, attributes)

    def withdraw(self, keys: AccountKeys, request_id: int, seat: int) -> Receipt:
        return self._send(keys, "withdraw", request_id, seat)

    def start(
        self,
        keys: AccountKeys,
        request_id: int,
        seat: int,
        manifest: bytes,
        key_hash: bytes,
        accounts: Sequence[str],
    ) -> Receipt:
        """`accounts`: see `Rounds.committee`, here and below."""
        return self._send(keys, "start", request_id, seat, manifest, key_hash, accounts)

    def deliver(
        self,
        keys: AccountKeys,
        request_id: int,
        seat: int,
        sealed_key: bytes,
        accounts: Sequence[str],
    ) -> Receipt:
        """`sealed_key` has 80 bytes. The first delivery settles reputations."""
        return self._send(keys, "deliver", request_id, seat, sealed_key, accounts)

    def claim(self, keys: AccountKeys, request_id: int, seat: int) -> Receipt:
        return self._send(keys, "claim", request_id, seat)

    # Anyone

    def expire(self, keys: AccountKeys, request_id: int) -> Receipt:
        return self._send(keys, "expire", request_id)

    def settle(self, keys: AccountKeys, request_id: int, accounts: Sequence[str]) -> Receipt:
        return self._send(keys, "settle", request_id, accounts)

    # Views

    def request(self, request_id: int, block: BlockReference = None) -> RequestRecord:
        """The request as stored; raises UnknownRequest."""
        rounds = self._rounds
        stored, state = self._connection.read(
            [self.function("request", request_id), rounds.function("roundState", request_id)],
            block,
        )
        facts = snake(self.decoded("request", stored))
        status = RequestStatus(facts.pop("status"))
        if status is RequestStatus.UNKNOWN:
            raise UnknownRequest(f"the market at {self.address} knows no request {request_id}")
        members: int = rounds.decoded("roundState", state)["members"]
        return RequestRecord(
            request_id=request_id,
            status=status,
            close_time=facts.pop("closed_at") or facts["join_deadline"],
            joined=members.bit_count(),
            **facts,
        )

    def request_count(self, block: BlockReference = None) -> int:
        """Number of requests; ids start at 1."""
        return int(self._view("requestCount", block=block))

    def requester_of(self, request_id: int, block: BlockReference = None) -> str:
        return str(self._view("requesterOf", request_id, block=block))

    def terms(self, request_id: int) -> Terms:
        """The terms as published; raises UnknownRequest if there is no such request.

        The contract stores only their hash; the event has them in full.
        """
        topics = [self._abi.event_topic("RequestCreated"), _word(request_id)]
        for event in self.history(topics):
            return terms_of(event.args["terms"])
        raise UnknownRequest(f"the market at {self.address} knows no request {request_id}")

    def asked(self, query_key: bytes) -> Iterator[tuple[int, Terms]]:
        """Requests with this query key and their terms, oldest first."""
        topics = [self._abi.event_topic("RequestCreated"), None, None, "0x" + query_key.hex()]
        for event in self.history(topics):
            yield int(event.args["requestId"]), terms_of(event.args["terms"])

    def claimable(self, request_id: int, seat: int, block: BlockReference = None) -> int:
        return int(self._view("claimable", request_id, seat, block=block))

    def refundable(self, request_id: int, block: BlockReference = None) -> int:
        return int(self._view("refundable", request_id, block=block))


def terms_of(struct: Mapping[str, Any]) -> Terms:
    """Terms from the `terms` of a RequestCreated event."""
    found = snake(struct)
    return Terms(
        **{
            **found,
            "leader_rule": LeaderRule(found["leader_rule"]),
            "approval_rule": ApprovalRule(found["approval_rule"]),
        }
    )


def _word(number: int) -> str:
    return f"0x{number:064x}"
