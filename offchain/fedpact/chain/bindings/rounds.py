"""TrainingRounds: submissions, votes, tally, attestations, proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fedpact.chain.bindings.binding import Binding, camel, snake
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Receipt
from fedpact.types.rounds import Member, RoundOutcome, RoundRecord, RoundState, Stage

NO_SEAT = 255
SCORE_BITS = 14
_ZERO = bytes(32)


class Rounds(Binding):
    """What ITrainingRounds.sol documents; errors in 1/10,000, digests 32 bytes."""

    NAME = "TrainingRounds"

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

    def propose(self, keys: AccountKeys, request_id: int, seat: int, digest: bytes) -> Receipt:
        return self._send(keys, "propose", request_id, seat, digest)

    # Anyone

    def tally(self, keys: AccountKeys, request_id: int) -> Receipt:
        return self._send(keys, "tally", request_id)

    def expire_round(self, keys: AccountKeys, request_id: int) -> Receipt:
        return self._send(keys, "expireRound", request_id)

    # Views

    def round_state(self, request_id: int, block: BlockReference = None) -> RoundState:
        """All facts of the current round."""
        facts = self._view("roundState", request_id, block=block)
        return self._state(request_id, facts, block)

    def duty(
        self, request_id: int, account: str, block: BlockReference = None
    ) -> tuple[RoundState, int | None]:
        """All facts of the current round, and the seat of the account (None: it has none)."""
        facts, seat = self._view("duty", request_id, account, block=block)
        return self._state(request_id, facts, block), None if seat == NO_SEAT else int(seat)

    def members(self, request_id: int, block: BlockReference = None) -> list[Member]:
        """The occupied seats, in order."""
        seats = self._view("members", request_id, block=block)
        return [
            Member(seat=seat, **member)
            for seat, member in enumerate(seats)
            if int(member["account"], 16)
        ]

    def account_of(self, request_id: int, seat: int, block: BlockReference = None) -> str:
        return str(self._view("accountOf", request_id, seat, block=block))

    def digests(self, request_id: int, block: BlockReference = None) -> dict[int, bytes]:
        """This round's model digests by seat, of the seats that have submitted."""
        return _by_seat(self._view("digests", request_id, block=block))

    def vote_words(self, request_id: int, block: BlockReference = None) -> dict[int, bytes]:
        """This round's vote words by seat: commitment, then packed scores, then attestation."""
        return _by_seat(self._view("voteWords", request_id, block=block))

    def points(
        self, request_id: int, block: BlockReference = None
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Points and faults over all rounds, one of each a seat."""
        points, faults = self._view("points", request_id, block=block)
        return points, faults

    def leader_order(self, request_id: int, block: BlockReference = None) -> list[tuple[int, int]]:
        """(seat, weighted error of Lu eq. 7 in 1/10,000), first leader first."""
        seats, errors = self._view("leaderOrder", request_id, block=block)
        return list(zip(seats, errors, strict=True))

    def outcome(self, request_id: int, block: BlockReference = None) -> RoundOutcome:
        return RoundOutcome(**snake(self._view("outcome", request_id, block=block)))

    def final_digest(self, request_id: int, block: BlockReference = None) -> bytes | None:
        """Of the last final global artefact; None where no round was finalised."""
        digest = bytes(self._view("finalDigest", request_id, block=block))
        return None if digest == _ZERO else digest

    def verify_history(
        self, request_id: int, records: Sequence[RoundRecord], block: BlockReference = None
    ) -> bool:
        """Whether these are exactly the tallied rounds, from the first to the last."""
        given = [camel(record) for record in records]
        return bool(self._view("verifyHistory", request_id, given, block=block))

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
    packed: int = found.pop("medians")
    last_leader: int = found.pop("last_leader")
    lane = (1 << SCORE_BITS) - 1
    return RoundState(
        request_id=request_id,
        stage=stage,
        stage_start=found.pop("start"),
        stage_deadline=found.pop("deadline"),
        last_leader=last_leader if found["final_rounds"] else None,
        ended=stage is Stage.ENDED,
        ended_at=0,
        medians=tuple(packed >> SCORE_BITS * seat & lane for seat in range(found["seats"])),
        **found,
    )


def _by_seat(words: Sequence[bytes]) -> dict[int, bytes]:
    return {seat: word for seat, word in enumerate(words) if word != _ZERO}
