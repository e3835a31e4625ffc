"""TrainingRounds of the first protocol."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fedpact.chain.abi import FIRST, MARKET, ROUNDS, contract_abi
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.bindings.first_protocol.structs import RoundOutcome, RoundState, Stage
from fedpact.chain.records import BlockReference
from fedpact.chain.scanner import EventScanner
from fedpact.types.requests import CohortMember

NO_SEAT = 255


class Rounds(Binding):
    """Errors in 1/10,000, digests 32 bytes."""

    NAME = ROUNDS
    PROTOCOL = FIRST

    def round_state(self, request_id: int, block: BlockReference = None) -> RoundState:
        """State of the current round."""
        facts = self._view("roundState", request_id, block=block)
        return self._state(request_id, facts, block)

    def members(self, request_id: int, block: BlockReference = None) -> list[CohortMember]:
        """The occupied seats, in order."""
        accounts = self._joined(request_id)
        if not accounts:
            return []
        calls = [self.function("member", request_id, account) for account in accounts]
        kept = [
            snake(self.decoded("member", found)) for found in self._connection.read(calls, block)
        ]
        seated = [
            CohortMember(one["seat"], account, one["samples"], one["reputation"])
            for account, one in zip(accounts, kept, strict=True)
            if one["seat"] != NO_SEAT
        ]
        return sorted(seated, key=lambda member: member.seat)

    def points(
        self, request_id: int, block: BlockReference = None
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Points and faults over all rounds, by seat."""
        points, faults = self._view("points", request_id, block=block)
        return points, faults

    def outcome(self, request_id: int, block: BlockReference = None) -> RoundOutcome:
        return RoundOutcome(**snake(self._view("outcome", request_id, block=block)))

    def submissions(self, member: str) -> list[tuple[int, int, bytes]]:
        """(request, round, digest) of every model that the account submitted, oldest first."""
        topics = [self._abi.event_topic("ModelSubmitted"), None, f"0x{int(member, 16):064x}"]
        found = (event.args for event in self.history(topics))
        return [(args["requestId"], args["round"], bytes(args["digest"])) for args in found]

    def _joined(self, request_id: int) -> list[str]:
        """Accounts that ever joined, each once, in order. From the market's events: the contracts
        keep no list."""
        deployment = self._connection.deployment
        topics = [contract_abi(MARKET, FIRST).event_topic("Joined"), f"0x{request_id:064x}"]
        events = EventScanner(
            self._connection, deployment.block, addresses=[deployment.market], topics=topics
        ).scan()
        return list(dict.fromkeys(str(event.args["provider"]) for event in events))

    def _state(
        self, request_id: int, facts: Mapping[str, Any], block: BlockReference
    ) -> RoundState:
        state = _round_state(request_id, facts)
        if not state.ended:
            return state
        return replace(state, ended_at=self.outcome(request_id, block).ended_at)


def _round_state(request_id: int, facts: Mapping[str, Any]) -> RoundState:
    found = snake(facts)
    del found["params"]
    stage = Stage(found.pop("phase"))
    last_leader: int = found.pop("last_leader")
    return RoundState(
        request_id=request_id,
        stage=stage,
        stage_start=found.pop("start"),
        stage_deadline=found.pop("deadline"),
        last_leader=last_leader if found["final_rounds"] else None,
        ended=stage is Stage.ENDED,
        ended_at=0,
        **found,
    )
