"""What a request's events tell, in order: its rounds, who did what in them, and what became of it.

Pure: everything follows from the events, from the records of rounds that were posted whole, and
from the pool as it was when it closed. Errors and scores in 1/10,000; masks have bit i for seat i.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from fedpact.chain.bindings.events import (
    Attested,
    Cancelled,
    CommitteeDrawn,
    Credited,
    Delivered,
    Disputed,
    Equivocated,
    Joined,
    Left,
    ModelForced,
    ModelsSubmitted,
    Paid,
    Place,
    RequestCreated,
    RequestEvent,
    RoundFailed,
    RoundFinalised,
    RoundOpened,
    RoundPosted,
    RoundsEnded,
    RoundTallied,
    Settled,
    SliceOpened,
    Started,
    VotesCommitted,
    VotesRevealed,
)
from fedpact.chain.signed_messages import BLIND, Board, LargeRecord, RoundRecord
from fedpact.consensus import draw, large_rounds
from fedpact.consensus.proof_of_quality import judge
from fedpact.types.requests import Earned, PoolMember, Terms, seats_of
from fedpact.types.scores import INVALID, lane

EventT = TypeVar("EventT", bound=RequestEvent)

Records = Mapping[tuple[str, bytes], RoundRecord | LargeRecord]
"""Records of rounds that were posted whole, by transaction and hash."""


class SeatStep(StrEnum):
    """What a seat does in a round."""

    MODEL = "model"
    COMMIT = "commit"
    REVEAL = "reveal"
    ATTEST = "attest"


class RequestStage(StrEnum):
    """Where a request is, as far as its events tell."""

    OPEN = "open"
    RUNNING = "running"
    ENDED = "ended"
    DELIVERED = "delivered"
    DISPUTED = "disputed"
    PAID = "paid"
    REFUNDED = "refunded"


@dataclass(frozen=True)
class ClosedPool:
    """A closed pool: its members by index, and the indices of those that have left."""

    members: tuple[PoolMember, ...]
    left: tuple[int, ...] = ()

    def cohort(self, seed: bytes, size: int) -> tuple[int, ...]:
        """The pool index of each seat of a round with this seed."""
        sums = [member.weight_sum for member in self.members]
        weights = [own - before for own, before in zip(sums, [0, *sums], strict=False)]
        return draw.cohort(seed, weights, size, self.left)


@dataclass
class RoundStory:
    """One round, from its opening to its end or to where it is now."""

    opened: RoundOpened
    done: dict[tuple[int, SeatStep], Place] = field(default_factory=dict)
    """When and by which transaction a seat did what."""
    votes: dict[int, int] = field(default_factory=dict)
    """The packed vote of each seat, once it is public."""
    digests: dict[int, bytes] = field(default_factory=dict)
    """Of the models, by seat."""
    attested: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    """Digest and error (INVALID: not measured) by seat."""
    slice_opened: Place | None = None
    posted: RoundPosted | None = None
    tallied: RoundTallied | None = None
    final: RoundFinalised | None = None
    failed: RoundFailed | None = None
    credited: list[Credited] = field(default_factory=list)
    equivocated: list[Equivocated] = field(default_factory=list)
    drawn: CommitteeDrawn | None = None
    """Of a large round, as are the next two: who judges, once that is fixed on chain."""
    forced: list[ModelForced] = field(default_factory=list)
    large_record: LargeRecord | None = None
    """Once it was posted and read."""

    @property
    def number(self) -> int:
        return self.opened.round

    @property
    def is_large(self) -> bool:
        """Whether a whole pool trains, and a committee judges; a usual round waits for seats."""
        return self.opened.expected == 0

    @property
    def over(self) -> bool:
        return self.final is not None or self.failed is not None

    @property
    def end_transaction(self) -> str:
        """Empty while it is under way."""
        end = self.final or self.failed
        return end.at.tx_hash if end else ""

    @property
    def tally_transaction(self) -> str:
        """The transaction that counts the votes: that of the tally, or of the whole round."""
        counted = self.tallied or self.posted
        return counted.at.tx_hash if counted else ""

    @property
    def credit_transaction(self) -> str:
        """The transaction by which points and faults are credited; empty where there are none."""
        if self.large_record is not None and self.posted is not None:
            return self.posted.at.tx_hash if any(self.large_record.points) else ""
        given = [one for one in self.credited if one.entry.points or one.entry.faults]
        return given[-1].at.tx_hash if given else ""

    def board(self, terms: Terms) -> tuple[Board, bool] | None:
        """What the votes amount to, and whether the round was blind; None before the tally."""
        if self.tallied is not None:
            return self.tallied.board, self.tallied.blind
        if self.posted is None or len(self.votes) < self.posted.mask.bit_count():
            return None  # votes of large rounds are not on chain
        return judge(self.votes, self.posted.mask, terms.max_error, terms.vote_band)

    def earned(self) -> list[Earned]:
        """The entries that gave points or faults."""
        listed = [one.entry for one in self.credited]
        return [one for one in listed if one.points or one.faults]

    def outside(self, board: Board, band: int) -> dict[int, list[int]]:
        """The models on which a voter was further from the median than the band, by voter."""
        judged = [seat for seat in self.digests if lane(board.medians, seat) != INVALID]
        found: dict[int, list[int]] = {}
        for voter, word in self.votes.items():
            if word == BLIND:
                continue
            far = [
                seat
                for seat in judged
                if seat != voter and abs(lane(word, seat) - lane(board.medians, seat)) > band
            ]
            if far:
                found[voter] = far
        return found


@dataclass(frozen=True)
class RequestStory:
    """A request's events in chain order; the first is its creation."""

    events: tuple[RequestEvent, ...]
    records: Records = field(default_factory=dict)
    pool: ClosedPool | None = None
    """None before the pool is closed, or where it has not been read yet."""

    @property
    def created(self) -> RequestCreated:
        first = self.events[0]
        assert isinstance(first, RequestCreated)
        return first

    @property
    def id(self) -> int:
        return self.created.request

    @property
    def terms(self) -> Terms:
        return self.created.terms

    def all(self, kind: type[EventT]) -> list[EventT]:
        return [one for one in self.events if isinstance(one, kind)]

    def last(self, kind: type[EventT]) -> EventT | None:
        found = self.all(kind)
        return found[-1] if found else None

    @cached_property
    def joined(self) -> list[Joined]:
        """Who joined and has not left, in the order of joining."""
        found: dict[str, Joined] = {}
        for one in self.events:
            if isinstance(one, Joined):
                found[one.provider] = one
            elif isinstance(one, Left):
                found.pop(one.provider, None)
        return list(found.values())

    @cached_property
    def rounds(self) -> list[RoundStory]:
        """In order; one whose start was void comes before the one that took its number."""
        found: list[RoundStory] = []
        for event in self.events:
            if isinstance(event, RoundOpened):
                found.append(RoundStory(event))
            elif found:
                _enter(found[-1], event, self.records)
        return found

    @cached_property
    def counted_rounds(self) -> list[RoundStory]:
        """Without those of void starts."""
        return [one for one in self.rounds if one.failed is None or not one.failed.void_start]

    @cached_property
    def entries(self) -> list[Earned]:
        """All that the rounds earned, gas of batches included. Points of large rounds are summed,
        though the contract may not have done it yet."""
        found = [one.entry for one in self.all(Credited)]
        given = [one for one in map(self.points_by_index, self.counted_rounds) if any(one)]
        pool = self.pool
        if pool is not None and given and not any(entry.summed for entry in found):
            found += large_rounds.entries(given, pool.left)
        return found

    def points_by_index(self, one: RoundStory) -> tuple[int, ...]:
        """Of a large round, of all members of the pool; empty while they are not known."""
        if self.pool is None or one.large_record is None:
            return ()
        return large_rounds.unpacked(one.large_record.points)[: len(self.pool.members)]

    @property
    def stage(self) -> RequestStage:
        settled = self.last(Settled)
        if settled is not None:
            return RequestStage.PAID if settled.pool else RequestStage.REFUNDED
        for kind, stage in _STAGES:
            if self.last(kind) is not None:
                return stage
        return RequestStage.OPEN

    @property
    def cancelled(self) -> bool:
        return self.last(Cancelled) is not None

    @property
    def errors(self) -> list[tuple[RoundStory, int]]:
        """The global model's error of each final round in which it was measured."""
        return [
            (one, one.final.error)
            for one in self.counted_rounds
            if one.final is not None and one.final.error != INVALID
        ]

    def earned_in(self, one: RoundStory) -> dict[str, int]:
        """Points of a round by account, of who has a share in it; empty while the pool is not
        known."""
        earned: dict[str, int] = {}
        for index, points in enumerate(self.points_by_index(one)):
            account = self.account_at(index) or ""
            earned[account] = earned.get(account, 0) + points  # one may have left, and come again
        for entry in () if one.is_large else one.earned():
            for seat, index in enumerate(self.cohort_of(one)):
                account = self.account_at(index) or ""
                earned[account] = earned.get(account, 0) + entry.points_of(seat)
        return earned

    def account_at(self, index: int) -> str | None:
        """The account with a pool index; None while the closed pool is not known."""
        pool = self.pool
        return pool.members[index].account if pool and index < len(pool.members) else None

    def cohort_of(self, one: RoundStory) -> tuple[int, ...]:
        """The pool index of each seat of a round; empty while the pool or the draw is not known."""
        pool, seed = self.pool, one.opened.seed
        if one.is_large:
            seed = one.drawn.seed if one.drawn is not None else b""
        if pool is None or not seed:
            return ()
        if seed not in self._cohorts:
            self._cohorts[seed] = pool.cohort(seed, self.terms.cohort)
        return self._cohorts[seed]

    @cached_property
    def _cohorts(self) -> dict[bytes, tuple[int, ...]]:
        """Cohorts that have been drawn, by seed: every member's row asks for every round's."""
        return {}

    def paid(self) -> list[Paid]:
        return self.all(Paid)


_STAGES: tuple[tuple[type[RequestEvent], RequestStage], ...] = (
    (Disputed, RequestStage.DISPUTED),
    (Delivered, RequestStage.DELIVERED),
    (RoundsEnded, RequestStage.ENDED),
    (Started, RequestStage.RUNNING),
)


def seat_values(mask: int, values: Sequence[bytes]) -> Iterable[tuple[int, bytes]]:
    return zip(seats_of(mask), values, strict=False)


def _enter(one: RoundStory, event: RequestEvent, records: Records) -> None:
    """Note an event in the round that was the last to be opened before it."""
    if isinstance(event, ModelsSubmitted):
        one.digests.update(seat_values(event.mask, event.digests))
        _mark(one, event.mask, SeatStep.MODEL, event.at)
    elif isinstance(event, SliceOpened):
        one.slice_opened = event.at
    elif isinstance(event, VotesCommitted):
        _mark(one, event.mask, SeatStep.COMMIT, event.at)
    elif isinstance(event, VotesRevealed):
        one.votes.update(zip(seats_of(event.mask), event.votes, strict=False))
        _mark(one, event.mask, SeatStep.REVEAL, event.at)
    elif isinstance(event, RoundTallied):
        one.tallied = event
    elif isinstance(event, Attested):
        for seat in seats_of(event.mask):
            one.attested[seat] = (event.digest, lane(event.errors, seat))
        _mark(one, event.mask, SeatStep.ATTEST, event.at)
    elif isinstance(event, RoundPosted):
        _enter_posted(one, event, records.get((event.at.tx_hash, event.record)))
    elif isinstance(event, CommitteeDrawn):
        one.drawn = event
    elif isinstance(event, ModelForced):
        one.forced.append(event)
    elif isinstance(event, RoundFinalised):
        one.final = event
    elif isinstance(event, RoundFailed):
        one.failed = event
    elif isinstance(event, Credited):
        one.credited.append(event)
    elif isinstance(event, Equivocated):
        one.equivocated.append(event)


def _enter_posted(
    one: RoundStory, event: RoundPosted, record: RoundRecord | LargeRecord | None
) -> None:
    """A whole round in one transaction: every seat of the mask did everything by it. Of a large one
    it signed the record, and the rest is not on chain."""
    one.posted = event
    if one.is_large:
        _mark(one, event.mask, SeatStep.ATTEST, event.at)
        if isinstance(record, LargeRecord):
            one.large_record = record
            for seat in seats_of(event.mask):
                one.attested[seat] = (record.digest, lane(record.errors, seat))
        return
    one.slice_opened = one.slice_opened or event.at
    for step in SeatStep:
        _mark(one, event.mask, step, event.at)
    if isinstance(record, RoundRecord):
        one.digests.update(seat_values(event.mask, record.digests))
        one.votes.update(zip(seats_of(event.mask), record.votes, strict=False))
        for seat in seats_of(event.mask):
            one.attested[seat] = (record.digest, lane(record.errors, seat))


def _mark(one: RoundStory, mask: int, step: SeatStep, at: Place) -> None:
    for seat in seats_of(mask):
        one.done.setdefault((seat, step), at)
