"""The rounds of a request as the protocol describes them, without hashes and signatures.

Mirrors Clock.sol and the steps of TrainingRounds.sol; what votes and attestations are worth comes
from `fedpact.consensus.proof_of_quality`. Masks have bit i for seat i. Whatever is not allowed
raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from fedpact.chain.signed_messages import Board
from fedpact.consensus.leader import leader
from fedpact.consensus.proof_of_quality import (
    Final,
    Rules,
    astray,
    blind,
    finalised,
    judge,
    without,
)
from fedpact.types.requests import NOBODY, CohortMember, Earned, seats_of

PAID, BLIND_ROUND, VOID_START = 1 << 16, 1 << 17, 1 << 18


class Phase(IntEnum):
    NONE, WAITING, SUBMIT, COMMIT, REVEAL, TALLY, ATTEST, FINALISE, FAILED, ENDED = range(10)


class Refused(Exception):
    """The protocol does not allow this act."""


@dataclass(frozen=True)
class Plan:
    """What a request fixes; every window has `window` seconds."""

    rules: Rules
    max_rounds: int
    window: int
    drawn: bool = False


class Counted(NamedTuple):
    """Whom a closed round had: seats whose models counted, those that might attest, and those at
    fault in the attestations."""

    judged: int
    attesters: int
    astray: int


@dataclass
class Request:
    """One request's rounds. `seats` are the pool indices of the cohort, `members` its members."""

    plan: Plan
    pool: int
    closed_at: int
    phase: Phase = Phase.WAITING
    mark: int = 0
    turn: int = 0
    round: int = 0
    seats: tuple[int, ...] = ()
    members: tuple[CohortMember, ...] = ()
    expected: int = 0
    submitted: int = 0
    acted: int = 0
    voided: int = 0
    astray: int = 0
    returning: int = 0
    returned: int = 0
    slice_open: bool = False
    reopened: bool = False
    halted: bool = False
    reached: bool = False
    blind: bool = False
    last_leader: int | None = None
    final_rounds: int = 0
    paid_rounds: int = 0
    committed: dict[int, int] = field(default_factory=dict)
    votes: dict[int, int] = field(default_factory=dict)
    attestations: list[tuple[int, bytes, int]] = field(default_factory=list)
    board: Board | None = None
    entries: list[Earned] = field(default_factory=list)
    counts: list[Counted] = field(default_factory=list)
    """One for each entry."""

    # -- masks ----------------------------------------------------------------------------------

    @property
    def full(self) -> int:
        return (1 << len(self.seats)) - 1

    @property
    def revealed(self) -> int:
        return _mask(self.votes)

    @property
    def judged(self) -> int:
        return self.submitted & ~self.voided

    @property
    def attesters(self) -> int:
        return (self.submitted if self.blind else self.revealed) & ~self.voided

    @property
    def slice_deadline(self) -> int:
        return self.mark - self.plan.window + self.plan.window // 2

    # -- before the first round -----------------------------------------------------------------

    def start(
        self, now: int, index: int, members: Sequence[CohortMember], seats: Sequence[int]
    ) -> None:
        """Member `index` starts; the cohort of round 1 has these members."""
        self._need(Phase.WAITING)
        since = self.mark or self.closed_at
        if index < self.turn or now < since + (index - self.turn) * self.plan.window:
            raise Refused("not its turn")
        if now > since + (self.pool - self.turn) * self.plan.window:
            raise Refused("too late")
        self.turn = index + 1
        self._cohort(members, seats)
        self._open(now, self.full)

    def expire(self, now: int) -> None:
        self._need(Phase.WAITING)
        since = self.mark or self.closed_at
        if now <= since + (self.pool - self.turn) * self.plan.window:
            raise Refused("somebody may still start")
        self._end(now)

    def halt(self, now: int) -> None:
        """The requester cancels."""
        self.advance(now)
        if self.phase is Phase.ENDED or self.halted:
            raise Refused("over")
        self.halted = True
        if self.phase is Phase.WAITING:
            self._end(now)

    # -- a round --------------------------------------------------------------------------------

    def submit(self, now: int, mask: int) -> None:
        self._at(now, Phase.SUBMIT)
        self._may(mask, self.full & ~(self.submitted | self.voided))
        self.submitted |= mask
        self.expected |= mask
        self.advance(now)

    def open_slice(self, now: int) -> None:
        self._at(now, Phase.COMMIT)
        if self.slice_open or now > self.slice_deadline:
            raise Refused("open, or too late")
        self.slice_open = True

    def commit(self, now: int, votes: Mapping[int, int]) -> None:
        """Anchors commitments to these packed votes."""
        self._at(now, Phase.COMMIT)
        if not self.slice_open:
            raise Refused("no slice")
        self._may(_mask(votes), self.judged & ~self.acted)
        self.committed |= votes
        self.acted |= _mask(votes)
        self.advance(now)

    def reveal(
        self, now: int, mask: int, members: Sequence[CohortMember] = (), seats: Sequence[int] = ()
    ) -> None:
        """`members` and `seats`: the next round's cohort, if this call opens one. The last one
        tallies."""
        self._at(now, Phase.REVEAL)
        self._may(mask, self.acted & ~(self.revealed | self.voided))
        self.votes |= {seat: self.committed[seat] for seat in seats_of(mask)}
        self.advance(now)
        if self.phase is Phase.TALLY:
            self.tally(now, members, seats)

    def tally(
        self, now: int, members: Sequence[CohortMember] = (), seats: Sequence[int] = ()
    ) -> None:
        """`members` and `seats`: see `reveal`."""
        self._at(now, Phase.TALLY)
        if self.blind:
            board = blind(self.judged, self.judged)
        else:
            counted = {s: vote for s, vote in self.votes.items() if self.judged >> s & 1}
            board, self.blind = judge(
                counted, self.judged, self.plan.rules.max_error, self.plan.rules.vote_band
            )
            hidden = self.acted & ~self.revealed
            if self.blind:
                board = blind(self.judged, self.judged & ~hidden)
            board = _with_faults(board, hidden)
        self.board = _with_faults(board, self._silent | self.voided)
        cut = self.halted and self.blind
        if cut or self.attesters.bit_count() < 2 or board.included == 0:
            self._conclude(now, self.board, None, members, seats)
            return
        self.acted = 0
        self.reopened = False
        self.phase = Phase.ATTEST
        self.mark = now + self.plan.window

    def attest(self, now: int, mask: int, digest: bytes, error: int) -> None:
        self._at(now, Phase.ATTEST)
        self._may(mask, self.attesters & ~self.acted)
        self.attestations += [(seat, digest, error) for seat in seats_of(mask)]
        self.acted |= mask
        self.advance(now)

    def attest_and_finalise(
        self,
        now: int,
        mask: int,
        digest: bytes,
        error: int,
        members: Sequence[CohortMember] = (),
        seats: Sequence[int] = (),
    ) -> None:
        """The seats of the mask are all that are missing."""
        self.attest(now, mask, digest, error)
        self.finalise(now, members, seats)

    def finalise(
        self, now: int, members: Sequence[CohortMember] = (), seats: Sequence[int] = ()
    ) -> None:
        self._at(now, Phase.FINALISE)
        assert self.board is not None
        self.astray = astray(
            *(self.attestations, self.attesters, self.judged),
            voided=self.voided,
            halted=self.halted,
        )
        board = self.board
        facts = (board.medians, board.included, board.eligible, without(board.points, self.voided))
        self.board = Board(*facts, board.faults | self.voided | self.astray)
        self._finish(now, self.board, self.attestations, members, seats)

    def post(
        self,
        now: int,
        votes: Mapping[int, int],
        digest: bytes,
        errors: Mapping[int, int],
        members: Sequence[CohortMember] = (),
        seats: Sequence[int] = (),
    ) -> None:
        """A whole round, signed by the seats of `votes`."""
        self.advance(now)
        if self.phase not in (*range(Phase.SUBMIT, Phase.ATTEST), Phase.FAILED):
            raise Refused("no round to post")
        signers = self.judged
        if self.phase in (Phase.SUBMIT, Phase.FAILED):
            signers |= self.expected & ~self.voided
        if signers.bit_count() < 2 or signers != _mask(votes):
            raise Refused("not everybody signed")
        silent = self.expected & ~signers
        self.submitted |= signers
        self.votes, self.acted, self.blind = dict(votes), signers, False
        board, _ = judge(votes, signers, self.plan.rules.max_error, self.plan.rules.vote_band)
        if board.included == 0:
            self._conclude(now, _with_faults(board, silent), None, members, seats)
            return
        attested = [(seat, digest, errors[seat]) for seat in seats_of(signers)]
        self._finish(now, _with_faults(board, silent), attested, members, seats)

    def close(
        self, now: int, members: Sequence[CohortMember] = (), seats: Sequence[int] = ()
    ) -> None:
        self._at(now, Phase.FAILED)
        if self.round == 1 and not self.halted:
            self.entries.append(_entry((self.turn - 1,), 0, 1 | VOID_START))
            self.counts.append(Counted(self.judged, 0, 0))
            self.phase, self.mark, self.round, self.returned = Phase.WAITING, now, 0, 0
            return
        nothing = Board(0, 0, 0, 0, self._silent | self.voided)
        self._conclude(now, nothing, None, members, seats)

    def contradict(self, now: int, seat: int) -> None:
        """Show two different signed messages of one seat."""
        self.advance(now)
        if self.round == 0 or self.phase in (Phase.WAITING, Phase.ENDED):
            raise Refused("no round")
        self._may(1 << seat, self.full & ~self.voided)
        self.voided |= 1 << seat
        self.advance(now)

    def come_back(self, now: int, seat: int) -> None:
        self.advance(now)
        if self.round == 0 or self.phase is Phase.ENDED or self.returned >> seat & 1:
            raise Refused("no round, or used")
        self.returned |= 1 << seat
        self.returning |= 1 << seat

    # -- time -----------------------------------------------------------------------------------

    def advance(self, now: int) -> None:
        """To the phase of this time."""
        before = None
        while before is not self.phase:
            before = self.phase
            match before:
                case Phase.SUBMIT:
                    self._submissions(now)
                case Phase.COMMIT:
                    self._commits(now)
                case Phase.REVEAL:
                    if self.acted & ~(self.revealed | self.voided) == 0 or now > self.mark:
                        self.phase = Phase.TALLY
                case Phase.ATTEST:
                    self._attestations(now)

    def _submissions(self, now: int) -> None:
        present = self.judged.bit_count()
        awaited = self.full if self.reopened else self.expected
        complete = awaited & ~(self.submitted | self.voided) == 0 and present >= 2
        if not complete and now <= self.mark:
            return
        since = min(now, self.mark) if complete else self.mark
        if self.halted:
            self.phase = Phase.TALLY if present else Phase.FAILED
            self.blind = True
        elif present < 2:
            self.phase = Phase.FAILED
        elif not complete and not self.reopened and 2 * present <= self.expected.bit_count():
            self.reopened = True
            self.mark += self.plan.window
            self._submissions(now)
        else:
            self.phase = Phase.COMMIT
            self.mark = since + self.plan.window

    def _attestations(self, now: int) -> None:
        if self.attesters & ~self.acted:
            present = (self.attesters & self.acted).bit_count()
            if now > self.mark and not self.reopened and 2 * present <= self.attesters.bit_count():
                self.reopened = True
                self.mark += self.plan.window
            if now <= self.mark:
                return
        self.phase = Phase.FINALISE

    def _commits(self, now: int) -> None:
        if not self.slice_open:
            if now > self.slice_deadline:
                self.blind = True
                self.phase = Phase.TALLY
            return
        complete = self.judged & ~self.acted == 0
        if not complete and now <= self.mark:
            return
        since = min(now, self.mark)
        if self.acted & ~self.voided == 0:
            self.phase = Phase.TALLY
        else:
            self.phase = Phase.REVEAL
            self.mark = since + self.plan.window

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _silent(self) -> int:
        return 0 if self.halted else self.expected & ~self.submitted

    def _finish(
        self,
        now: int,
        board: Board,
        attestations: Sequence[tuple[int, bytes, int]],
        members: Sequence[CohortMember],
        seats: Sequence[int],
    ) -> None:
        last = self.last_leader
        seat_of_last = self.seats.index(last) if last in self.seats else None
        final = finalised(
            board,
            attestations,
            self.judged,
            self.plan.rules,
            lambda candidates: leader(
                candidates,
                self.judged,
                board.medians,
                self.members,
                self.round,
                self.plan.rules.leader_rule,
                seat_of_last,
            ),
            self.voided,
        )
        self._conclude(now, board, final, members, seats)

    def _conclude(
        self,
        now: int,
        board: Board,
        final: Final | None,
        members: Sequence[CohortMember],
        seats: Sequence[int],
    ) -> None:
        points, digest = board.points, bytes(32)
        if final is not None:
            points, digest = final.points, final.digest
            self.last_leader = None if final.leader == NOBODY else self.seats[final.leader]
            self.reached = self.reached or final.reached
            self.final_rounds += 1
        flags = (BLIND_ROUND if self.blind else 0) | (PAID if points else 0)
        self.paid_rounds += points != 0
        self.entries.append(_entry(self.seats, points, board.faults | flags, digest))
        self.counts.append(Counted(self.judged, self.attesters, self.astray))
        over = self.reached or self.halted or self.round == self.plan.max_rounds
        if over or (final is None and not self.plan.drawn):
            self._end(now)
        elif self.plan.drawn:
            self._cohort(members, seats)
            self._open(now, self.full)
        else:
            self._open(now, self.judged | self.returning)

    def _open(self, now: int, expected: int) -> None:
        self.round += 1
        self.phase, self.mark = Phase.SUBMIT, now + self.plan.window
        self.expected = expected
        self.submitted = self.acted = self.voided = self.returning = 0
        self.astray = 0
        self.slice_open = self.reopened = self.blind = False
        self.committed, self.votes, self.attestations, self.board = {}, {}, [], None

    def _cohort(self, members: Sequence[CohortMember], seats: Sequence[int]) -> None:
        self.members, self.seats = tuple(members), tuple(seats)

    def _end(self, now: int) -> None:
        self.phase, self.mark = Phase.ENDED, now

    def _need(self, phase: Phase) -> None:
        if self.phase is not phase:
            raise Refused(f"phase {self.phase.name}, not {phase.name}")

    def _at(self, now: int, phase: Phase) -> None:
        self.advance(now)
        self._need(phase)

    @staticmethod
    def _may(mask: int, allowed: int) -> None:
        if mask == 0 or mask & ~allowed:
            raise Refused(f"seats {mask:b}, allowed are {allowed:b}")


def ballot(scores: Mapping[int, int], own: int) -> int:
    """A packed vote on the models of these seats, its own left out."""
    return sum(score << 14 * seat for seat, score in scores.items() if seat != own)


def _mask(seats: Mapping[int, object]) -> int:
    return sum(1 << seat for seat in seats)


def _with_faults(board: Board, more: int) -> Board:
    facts = (board.medians, board.included, board.eligible, board.points)
    return Board(*facts, board.faults | more)


def _entry(seats: Sequence[int], points: int, extra: int, digest: bytes = bytes(32)) -> Earned:
    cohort = sum(index << 16 * seat for seat, index in enumerate(seats))
    return Earned(cohort, points, extra, digest)
