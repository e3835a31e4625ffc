"""One request at one block, as its requester sees it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from fedpact.chain.bindings.events import (
    Credited,
    RequestCreated,
    RequestEvent,
    RoundFinalised,
    RoundsEnded,
    Settled,
    Started,
    last_before,
    request_event,
)
from fedpact.chain.client import ChainClient
from fedpact.chain.records import Frame
from fedpact.chain.scanner import SETTLED, EventScanner
from fedpact.consensus.draw import next_seed
from fedpact.consensus.payout import fold
from fedpact.errors import ContentMissing
from fedpact.requester.follow import RequestProgress
from fedpact.types.requests import (
    Earned,
    LargeFacts,
    Phase,
    PoolFacts,
    RoundFacts,
    Status,
    StoredRequest,
    Terms,
)
from fedpact.types.scores import INVALID, MAX_SCORE

EventT = TypeVar("EventT", bound=RequestEvent)


class RequestLog:
    """A request's events, each block read once, and its terms; nothing is read before it is asked
    for, since a search for the creation takes several queries of logs."""

    def __init__(self, client: ChainClient, request_id: int) -> None:
        self._client, self._request = client, request_id
        self._events: list[RequestEvent] = []

    @property
    def terms(self) -> Terms:
        """Raises UnknownRequest, NodeUnreachable where the node lacks the event."""
        return self._created.terms

    @cached_property
    def _created(self) -> RequestCreated:
        return self._client.market.created(self._request)

    @cached_property
    def _scanner(self) -> EventScanner:
        return self._client.request_scanner(self._request, self._created.at.block)

    def up_to(self, frame: Frame, until: type[RequestEvent] | None = None) -> list[RequestEvent]:
        """In order; what a reorganised chain has taken back is dropped. With `until`, at least
        those up to the first event of this kind: what the chain has got since then is not read.
        Raises as `terms`."""
        settled = frame.block_number - SETTLED
        if not self._holds(until, settled):
            for chunk in self._scanner.chunks(frame):
                kept = [one for one in self._events if one.at.block < chunk.first]
                found = [request_event(event) for event in chunk.events]
                self._events = kept + [one for one in found if one is not None]
                if self._holds(until, settled):
                    break
        return [one for one in self._events if one.at.block <= frame.block_number]

    def _holds(self, kind: type[RequestEvent] | None, block: int) -> bool:
        """Whether an event of this kind is known, in a block so old that it stays."""
        if kind is None:
            return False
        return any(isinstance(one, kind) and one.at.block <= block for one in self._events)


@dataclass(frozen=True)
class RequestLook:
    """What the chain says about a request at a block."""

    client: ChainClient
    request_id: int
    frame: Frame
    log: RequestLog
    stored: StoredRequest
    facts: RoundFacts
    pool: PoolFacts

    @property
    def terms(self) -> Terms:
        return self.log.terms

    @property
    def now(self) -> int:
        """The block's time, in seconds."""
        return self.frame.timestamp

    @property
    def slice_is_due(self) -> bool:
        """Whether submissions are over and this round's slice may still be opened on chain."""
        facts = self.facts
        if facts.phase is not Phase.COMMIT or facts.slice_opened:
            return False
        return self.now <= facts.slice_deadline(self.terms.commit_window)

    @property
    def awaits_slice(self) -> bool:
        """Whether a round is under way whose slice is not open on chain; where rounds are large,
        whether its committee judges."""
        if isinstance(self.facts, LargeFacts):
            return self.facts.phase is Phase.ATTEST
        under_way = self.facts.phase in (Phase.SUBMIT, Phase.COMMIT)
        return under_way and not self.facts.slice_opened

    @property
    def cannot_start(self) -> bool:
        """Whether the pool closed with too few members, or all turns to start are over."""
        if self.facts.phase is not Phase.WAITING or not self.pool.closed:
            return False
        began = self.facts.deadline or self.pool.closed_at
        turns = self.pool.members - self.facts.turn
        return not self.pool.enough or self.now > began + turns * self.terms.start_window

    @property
    def round_is_drawn(self) -> bool:
        """Whether it is known who takes part in the present round, or judges it."""
        facts = self.facts
        later = isinstance(facts, LargeFacts) and facts.draw_block > self.frame.block_number
        return bool(facts.round) and not later

    @property
    def seed(self) -> bytes:
        """Draws who judges the present round; ContentMissing where the node does not tell."""
        facts = self.facts
        if not isinstance(facts, LargeFacts) or facts.draw_block == 0:
            return facts.seed
        block = self.client.rpc.call("eth_getBlockByNumber", hex(facts.draw_block), False)
        if block is None or "mixHash" not in block:
            raise ContentMissing(
                f"request {self.request_id}: block {facts.draw_block}, which draws the committee,"
                " is not there yet"
            )
        return next_seed(facts.seed, int(block["mixHash"], 16))

    def events(self, kind: type[EventT]) -> list[EventT]:
        """The request's events of one kind up to this block, in order."""
        return [one for one in self.up_to(last_before(kind)) if isinstance(one, kind)]

    def up_to(self, last: type[RoundsEnded] | type[Settled] | None) -> list[RequestEvent]:
        """The request's events in order, at least those up to this one, if it has come."""
        come = {
            RoundsEnded: self.facts.phase is Phase.ENDED,
            Settled: self.stored.status is Status.SETTLED,
        }
        return self.log.up_to(self.frame, last if last is not None and come[last] else None)

    def all_events(self) -> list[RequestEvent]:
        return self.up_to(None)

    def committee_key(self) -> bytes:
        """Of the last start; ContentMissing before any."""
        started = self.events(Started)
        if not started:
            raise ContentMissing(f"request {self.request_id}: its start has not been read yet")
        return started[-1].start.committee_key

    def entries(self) -> list[Earned]:
        """What the rounds earned, as the chain knows it."""
        found = [one.entry for one in self.events(Credited)]
        if fold(found) != self.facts.earned:
            raise ContentMissing(
                f"request {self.request_id}: not all that its rounds earned has been read yet"
            )
        return found

    def progress(
        self, note: str = "", declined: tuple[tuple[str, int], ...] = ()
    ) -> RequestProgress:
        """For people and programs."""
        return RequestProgress(
            self.request_id,
            self.stored.status,
            self.facts.round,
            self.facts.phase,
            self.pool.members - self.pool.left,
            self.facts.submitted.bit_count(),
            self.facts.final_rounds,
            bool(self.stored.delivered_at),  # A dispute takes that back.
            note,
            declined,
            self._errors() if self.facts.final_rounds else (),
        )

    def _errors(self) -> tuple[float | None, ...]:
        final = self.events(RoundFinalised)
        return tuple(None if one.error == INVALID else one.error / MAX_SCORE for one in final)


def look(
    client: ChainClient,
    request_id: int,
    log: RequestLog | None = None,
    former: RequestLook | None = None,
) -> RequestLook:
    """Read a request at the latest block; raises UnknownRequest. `log`: kept from a former look;
    `former`: that look itself, returned again while there is no later block."""
    frame = client.frame()
    if former is not None and former.frame == frame:
        return former
    stored = client.market.request(request_id, frame)
    return RequestLook(
        client,
        request_id,
        frame,
        RequestLog(client, request_id) if log is None else log,
        stored,
        client.any_rounds.round_facts(request_id, frame),
        client.pool.facts(request_id, frame),
    )
