"""TrainingRounds: submissions, votes, tally, attestations, proposals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fedpact.chain.abi import MARKET, ROUNDS, contract_abi
from fedpact.chain.bindings.binding import Binding, camel, snake
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Receipt
from fedpact.chain.scanner import EventScanner
from fedpact.types.rounds import (
    Member,
    RoundOutcome,
    RoundRecord,
    RoundState,
    Stage,
    committee,
)
from fedpact.types.scores import INVALID

NO_SEAT = 255
_ZERO = bytes(32)


class Rounds(Binding):
    """What ITrainingRounds.sol documents; errors in 1/10,000, digests 32 bytes."""

    NAME = ROUNDS

    # Members and requester

    def submit(self, keys: AccountKeys, request_id: int, seat: int, digest: bytes) -> Receipt:
        return self._send(keys, "submit", request_id, seat, digest)

    def open_slice(self, keys: AccountKeys, request_id: int, digest: bytes) -> Receipt:
        return self._send(keys, "openSlice", request_id, digest)

    def commit_vote(
        self, keys: AccountKeys, request_id: int, seat: int, commitment: bytes
    ) -> Receipt:
        return self._send(keys, "commitVote", request_id, seat, commitment)

    def reveal_vote(
        self, keys: AccountKeys, request_id: int, seat: int, packed_scores: int, salt: bytes
    ) -> Receipt:
        return self._send(keys, "revealVote", request_id, seat, packed_scores, salt)

    def attest(
        self, keys: AccountKeys, request_id: int, seat: int, attestation: bytes, error: int
    ) -> Receipt:
        return self._send(keys, "attest", request_id, seat, attestation, error)

    def propose(
        self,
        keys: AccountKeys,
        request_id: int,
        seat: int,
        digest: bytes,
        error: int,
        accounts: Sequence[str],
    ) -> Receipt:
        """`error` is the leader's measurement; it counts if the leader has not attested."""
        return self._send(keys, "propose", request_id, seat, digest, error, accounts)

    # Anyone

    def tally(self, keys: AccountKeys, request_id: int, accounts: Sequence[str]) -> Receipt:
        """`accounts`: see `committee`."""
        return self._send(keys, "tally", request_id, accounts)

    def expire_round(self, keys: AccountKeys, request_id: int) -> Receipt:
        return self._send(keys, "expireRound", request_id)

    # Views

    def round_state(self, request_id: int, block: BlockReference = None) -> RoundState:
        """State of the current round."""
        facts = self._view("roundState", request_id, block=block)
        return self._state(request_id, facts, block)

    def duty(
        self, request_id: int, account: str, block: BlockReference = None
    ) -> tuple[RoundState, int | None]:
        """State of the current round, and the account's seat (None: no seat)."""
        facts, seat = self._view("duty", request_id, account, block=block)
        return self._state(request_id, facts, block), None if seat == NO_SEAT else int(seat)

    def members(
        self,
        request_id: int,
        block: BlockReference = None,
        joined: Sequence[str] | None = None,
    ) -> list[Member]:
        """The occupied seats, in order.

        `joined`: all accounts that ever joined, if the caller has read the market's events; None:
        they are read here.
        """
        accounts = self._joined(request_id) if joined is None else joined
        if not accounts:
            return []
        calls = [self.function("member", request_id, account) for account in accounts]
        kept = [
            snake(self.decoded("member", found)) for found in self._connection.read(calls, block)
        ]
        seated = [
            Member(one["seat"], account, one["samples"], one["reputation"])
            for account, one in zip(accounts, kept, strict=True)
            if one["seat"] != NO_SEAT
        ]
        return sorted(seated, key=lambda member: member.seat)

    def committee(self, request_id: int, block: BlockReference = None) -> list[str]:
        """The account of each seat (zero: open), as the contracts expect them."""
        seats = self.outcome(request_id, block).seats
        return committee(self.members(request_id, block), seats)

    def seat_of(self, request_id: int, account: str, block: BlockReference = None) -> int | None:
        """None: no seat."""
        seat = int(self._view("seatOf", request_id, account, block=block))
        return None if seat == NO_SEAT else seat

    def points(
        self, request_id: int, block: BlockReference = None
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Points and faults over all rounds, by seat."""
        points, faults = self._view("points", request_id, block=block)
        return points, faults

    def leader_order(self, request_id: int, block: BlockReference = None) -> list[int]:
        """Seats of the tallied round, first leader first (Lu eq. 7); empty before the tally."""
        return list(self._view("leaderOrder", request_id, block=block))

    def outcome(self, request_id: int, block: BlockReference = None) -> RoundOutcome:
        return RoundOutcome(**snake(self._view("outcome", request_id, block=block)))

    def final_digest(self, request_id: int, block: BlockReference = None) -> bytes | None:
        """Digest of the last final global model; None if no round was finalised."""
        digest = bytes(self._view("finalDigest", request_id, block=block))
        return None if digest == _ZERO else digest

    def final_error(self, request_id: int) -> int | None:
        """The approvers' median error of the last final global model, 1/10,000.

        None if no round was finalised, or there was no slice to measure on.
        """
        topics = [self._abi.event_topic("RoundFinalised"), f"0x{request_id:064x}"]
        errors = [int(e.args["mae"]) for e in self.history(topics)]
        return errors[-1] if errors and errors[-1] != INVALID else None

    def submissions(self, member: str) -> list[tuple[int, int, bytes]]:
        """(request, round, digest) of every model that the account submitted, oldest first."""
        topics = [self._abi.event_topic("ModelSubmitted"), None, f"0x{int(member, 16):064x}"]
        found = (event.args for event in self.history(topics))
        return [(args["requestId"], args["round"], bytes(args["digest"])) for args in found]

    def verify_history(
        self,
        request_id: int,
        terms_hash: bytes,
        manifest: bytes,
        key_hash: bytes,
        records: Sequence[RoundRecord],
        block: BlockReference = None,
    ) -> bool:
        """Whether these are the terms, the keys and exactly the rounds so far."""
        given = [camel(record) for record in records]
        begin = (request_id, terms_hash, manifest, key_hash)
        return bool(self._view("verifyHistory", *begin, given, block=block))

    def _joined(self, request_id: int) -> list[str]:
        """Accounts that ever joined, each once, in order. From the market's events: the contracts
        keep no list."""
        deployment = self._connection.deployment
        topics = [contract_abi(MARKET).event_topic("Joined"), f"0x{request_id:064x}"]
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
