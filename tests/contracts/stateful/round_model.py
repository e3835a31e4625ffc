"""What the rounds of one request must do, written from the protocol, not the contracts.

Sets of seats instead of masks, phases worked out from recorded facts; medians, points, leader order
and quorum are those of `fedpact.consensus`, the mirror that daemons and auditors use. Each action
either changes the model or raises Refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fedpact.consensus.leader import (
    Candidate,
    approvals_needed,
    capped_weights,
    leader_order,
)
from fedpact.consensus.tally import (
    LEADER_POINTS,
    RoundTally,
    history_of_start,
    history_with_model,
    history_with_tally,
    tally,
)
from fedpact.consensus.votes import Ballot, approves, first_bad_lane, vote_commitment
from fedpact.types.rounds import NOBODY, ApprovalRule, LeaderRule, Stage
from fedpact.types.scores import INVALID, is_score

NO_LEADER = 255
TIMED = {
    Stage.SUBMIT: "submitWindow",
    Stage.COMMIT: "commitWindow",
    Stage.REVEAL: "revealWindow",
    Stage.ATTEST: "proposeWindow",
}


class Refused(Exception):
    """The protocol does not allow this action now, or not by this account."""


def allow(condition: bool, why: str) -> None:
    if not condition:
        raise Refused(why)


def mask_of(seats: set[int]) -> int:
    return sum(1 << seat for seat in seats)


def seats_in(mask: int) -> set[int]:
    return {seat for seat in range(16) if mask >> seat & 1}


@dataclass(frozen=True)
class Seat:
    account: str
    samples: int
    organisation: int
    reputation: int


@dataclass
class RoundModel:
    """The committee of a request and its rounds."""

    request_id: int
    chain_id: int
    contract: str
    is_active: Callable[[str], bool]
    terms: dict[str, Any] = field(default_factory=dict)
    seats: list[Seat | None] = field(default_factory=list)
    phase: Stage = Stage.NONE
    start: int = 0
    round: int = 0
    expected: set[int] = field(default_factory=set)
    barred: set[int] = field(default_factory=set)
    ever: set[int] = field(default_factory=set)
    digests: dict[int, bytes] = field(default_factory=dict)
    commitments: dict[int, bytes] = field(default_factory=dict)
    words: dict[int, int] = field(default_factory=dict)
    attested: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    result: RoundTally | None = None
    leaders: list[int] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    last_leader: int = NO_LEADER
    paid_rounds: int = 0
    final_rounds: int = 0
    slice_opened: bool = False
    reached: bool = False
    final_digest: bytes = bytes(32)
    history: bytes = bytes(32)

    # -- the clock -------------------------------------------------------------------------------

    @property
    def members(self) -> set[int]:
        return {number for number, seat in enumerate(self.seats) if seat is not None}

    @property
    def committee(self) -> list[str]:
        """The holder of each assigned seat."""
        return [NOBODY if seat is None else seat.account for seat in self.seats]

    @property
    def window(self) -> int:
        turns = len(self.leaders) if self.phase is Stage.ATTEST else 1
        return int(self.terms[TIMED[self.phase]]) * turns

    @property
    def deadline(self) -> int:
        return self.start + self.window if self.phase in TIMED else 0

    def pass_to(self, now: int) -> None:
        """When the last second of a phase has passed, the next phase starts there."""
        while self.phase in TIMED and now > self.deadline:
            following = {
                Stage.SUBMIT: Stage.COMMIT if len(self.digests) >= 2 else Stage.EXPIRED,
                Stage.COMMIT: Stage.REVEAL if self.commitments else Stage.TALLY,
                Stage.REVEAL: Stage.TALLY,
                Stage.ATTEST: Stage.EXPIRED,
            }[self.phase]
            self.start, self.phase = self.deadline, following

    def _enter(self, phase: Stage, now: int) -> None:
        self.phase, self.start = phase, now

    def _in(self, phase: Stage, now: int) -> None:
        self.pass_to(now)
        allow(self.phase is phase, f"{self.phase.name}, not {phase.name}")

    def require_seat(self, seat: int, account: str) -> None:
        holder = self.seats[seat] if seat < len(self.seats) else None
        allow(holder is not None and holder.account == account, "another's seat")

    # -- committee -------------------------------------------------------------------------------

    def enlist(self, seat: Seat) -> None:
        allow(self.phase is Stage.NONE, "started")
        taken = {other.organisation for other in self.seats if other is not None}
        allow(seat.organisation not in taken, "organisation seated")
        if None in self.seats:
            self.seats[self.seats.index(None)] = seat
        else:
            self.seats.append(seat)
            self.points.append(0)
            self.faults.append(0)

    def unseat(self, now: int, seat: int, account: str) -> None:
        self.pass_to(now)
        allow(self.phase is not Stage.ENDED, "ended")
        self.require_seat(seat, account)
        allow(seat not in self.ever, "took part")
        self.seats[seat] = None
        self.expected.discard(seat)
        if self.phase is Stage.SUBMIT:
            self._close_submissions(now)

    def open(self, now: int, seat: int, account: str, manifest: bytes, key_hash: bytes) -> None:
        self.require_seat(seat, account)
        barred = self._inactive()
        allow(seat not in barred, "suspended")
        self.history = history_of_start(self.history, manifest, key_hash)
        self._next_round(now, self.members - barred)

    def halt(self, now: int) -> None:
        self.pass_to(now)
        allow(self.phase is not Stage.ENDED, "ended")
        allow(not self.digests, "between a submission and its tally")
        self._enter(Stage.ENDED, now)

    def _inactive(self) -> set[int]:
        return {
            number
            for number, seat in enumerate(self.seats)
            if seat is not None and not self.is_active(seat.account)
        }

    def _next_round(self, now: int, expected: set[int]) -> None:
        self.round += 1
        self.expected, self.barred = expected, self._inactive()
        self.digests, self.commitments, self.words, self.attested = {}, {}, {}, {}
        self.leaders, self.slice_opened = [], False
        self._enter(Stage.SUBMIT, now)

    # -- submissions and votes -------------------------------------------------------------------

    def submit(self, now: int, seat: int, account: str, digest: bytes) -> None:
        self._in(Stage.SUBMIT, now)
        self.require_seat(seat, account)
        allow(seat not in self.barred, "barred")
        allow(seat not in self.digests, "twice")
        allow(any(digest), "nothing")
        self.digests[seat] = digest
        self.history = history_with_model(self.history, self.round, seat, digest)
        self.expected.add(seat)
        self.ever.add(seat)
        self._close_submissions(now)

    def _close_submissions(self, now: int) -> None:
        if self.expected <= set(self.digests) and len(self.digests) >= 2:
            self._enter(Stage.COMMIT, now)

    def open_slice(self, now: int, digest: bytes) -> None:
        self._in(Stage.COMMIT, now)
        allow(now < self.start + self.terms["commitWindow"] // 2, "too late to score by it")
        allow(not self.slice_opened, "twice")
        allow(any(digest), "nothing")
        self.slice_opened = True

    def ballot(self, account: str) -> Ballot:
        return Ballot(self.chain_id, self.contract, self.request_id, self.round, account)

    def commit(self, now: int, seat: int, account: str, commitment: bytes) -> None:
        self._in(Stage.COMMIT, now)
        self.require_seat(seat, account)
        allow(seat in self.digests, "no part")
        allow(seat not in self.commitments, "twice")
        allow(any(commitment), "nothing")
        self.commitments[seat] = commitment
        if len(self.commitments) == len(self.digests):
            self._enter(Stage.REVEAL, now)

    def reveal(self, now: int, seat: int, account: str, word: int, salt: bytes) -> None:
        self._in(Stage.REVEAL, now)
        self.require_seat(seat, account)
        allow(seat in self.commitments, "no part")
        allow(seat not in self.words, "twice")
        same = vote_commitment(self.ballot(account), word, salt) == self.commitments[seat]
        allow(same, "another vote")
        submitted = mask_of(set(self.digests))
        allow(first_bad_lane(word, len(self.seats), submitted, seat) is None, "no score")
        self.words[seat] = word
        if len(self.words) == len(self.commitments):
            self._enter(Stage.TALLY, now)

    def tally(self, now: int, accounts: list[str]) -> None:
        self._in(Stage.TALLY, now)
        allow(accounts == self.committee, "not who holds the seats")
        terms = self.terms
        submitted = mask_of(set(self.digests))
        result = tally(self.words, submitted, len(self.seats), terms["maxError"], terms["voteBand"])
        self.result = result
        self.history = history_with_tally(
            *(self.history, self.round, mask_of(set(self.words))),
            [self.words[seat] for seat in sorted(self.words)],
            result.medians,
        )
        unrevealed = set(self.commitments) - set(self.words)
        self._credit(
            dict(enumerate(result.points)),
            unrevealed | seats_in(result.adverse) | self._no_shows(),
        )
        self.paid_rounds += any(result.points)
        self.leaders = self.order()
        ended = not self.leaders or len(self.words) < 2
        self._enter(Stage.ENDED if ended else Stage.ATTEST, now)

    def _no_shows(self) -> set[int]:
        return self.ever & self.expected - set(self.digests)

    def _credit(self, points: dict[int, int], faults: set[int]) -> None:
        for seat, own in points.items():
            self.points[seat] += own
        for seat in faults:
            self.faults[seat] += 1

    # -- the global model ------------------------------------------------------------------------

    def weights(self) -> dict[int, int]:
        return capped_weights({seat: self.seat_at(seat).samples for seat in self.digests})

    def seat_at(self, number: int) -> Seat:
        seat = self.seats[number]
        assert seat is not None, "a seat that submitted is never given up"
        return seat

    def order(self) -> list[int]:
        assert self.result is not None
        weights = self.weights()
        candidates = [
            Candidate(
                *(seat, self.seat_at(seat).account, self.result.medians[seat], weights[seat]),
                self.seat_at(seat).reputation,
            )
            for seat in seats_in(self.result.leaders)
        ]
        last = None if self.last_leader == NO_LEADER else self.last_leader
        rule = LeaderRule(self.terms["leaderRule"])
        return leader_order(candidates, self.round, rule, sum(weights.values()), last)

    def attest(self, now: int, seat: int, account: str, word: bytes, mae: int) -> None:
        self._in(Stage.ATTEST, now)
        self.require_seat(seat, account)
        allow(seat in self.words, "no part")
        allow(seat not in self.attested, "twice")
        allow(is_score(mae), "no error")
        self.attested[seat] = word, mae

    def approvals(self, digest: bytes) -> dict[int, int]:
        """Errors of the seats that attested this digest, by seat."""
        return {
            seat: mae
            for seat, (word, mae) in self.attested.items()
            if approves(self.ballot(self.seat_at(seat).account), seat, word, mae, digest)
        }

    def propose(self, now: int, seat: int, account: str, digest: bytes, mae: int) -> None:
        self._in(Stage.ATTEST, now)
        self.require_seat(seat, account)
        allow(any(digest), "nothing")
        allow(seat in self.leaders, "no leader")
        rank = self.leaders.index(seat)
        allow(now >= self.start + rank * self.terms["proposeWindow"], "not its turn")
        errors = self.approvals(digest)
        if seat not in self.attested:
            allow(is_score(mae), "no error")
            errors[seat] = mae
        allow(seat in errors, "attested another model itself")
        rule = ApprovalRule(self.terms["approvalRule"])
        needed = approvals_needed(len(self.words), len(self.expected), rule)
        allow(len(errors) >= needed, "no quorum")
        self._credit({seat: LEADER_POINTS}, set(self.leaders[:rank]))
        self.final_digest, self.last_leader = digest, seat
        self.final_rounds += 1
        target = self.terms["target"]
        self.reached = target > 0 and _median_error(list(errors.values())) <= target
        if self.reached or self.round == self.terms["maxRounds"]:
            self._enter(Stage.ENDED, now)
        else:
            self._next_round(now, set(self.digests) - self._inactive())

    def expire(self, now: int) -> None:
        self._in(Stage.EXPIRED, now)
        self._credit({}, set(self.leaders) or self._no_shows())
        self._enter(Stage.ENDED, now)


def _median_error(errors: list[int]) -> int:
    """The middle value, or the mean of the middle two rounded up; INVALID if the upper one is."""
    ordered = sorted(errors)
    lower, upper = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return INVALID if upper == INVALID else (lower + upper + 1) // 2
