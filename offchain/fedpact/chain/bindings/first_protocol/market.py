"""SharingMarket of the first protocol."""

from collections.abc import Mapping
from typing import Any

from fedpact.chain.abi import FIRST, MARKET
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.bindings.first_protocol.rounds import Rounds
from fedpact.chain.bindings.first_protocol.structs import RequestRecord, RequestStatus, Terms
from fedpact.chain.connection import Connection
from fedpact.chain.records import BlockReference
from fedpact.errors import UnknownRequest
from fedpact.types.requests import ApprovalRule, LeaderRule


class Market(Binding):
    """Amounts in wei, times in seconds, digests 32 bytes."""

    NAME = MARKET
    PROTOCOL = FIRST

    def __init__(self, connection: Connection, address: str, rounds: Rounds) -> None:
        super().__init__(connection, address)
        self._rounds = rounds

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
