"""One request as of one block."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fedpact.chain.bindings.structs import terms_of
from fedpact.chain.records import Frame
from fedpact.chain.signed_messages import LargeRecord, RoundRecord
from fedpact.consensus.draw import next_seed
from fedpact.errors import ContentMissing, NodeUnreachable, NotReady
from fedpact.provider.context import Cohort, Context, Events
from fedpact.types.requests import (
    LargeFacts,
    Phase,
    PoolFacts,
    PoolMember,
    RoundFacts,
    StoredRequest,
    Terms,
)

WINDOWS = {
    Phase.SUBMIT: "submit_window",
    Phase.COMMIT: "commit_window",
    Phase.REVEAL: "reveal_window",
    Phase.ATTEST: "attest_window",
}
REST_PARTS = 100
"""Parts of a window, in one of which a member notices that it has begun."""


@dataclass(frozen=True)
class RequestView:
    """One request at one block."""

    ctx: Context
    frame: Frame
    id: int
    record: StoredRequest
    facts: RoundFacts

    @property
    def round(self) -> int:
        return self.facts.round

    @property
    def stage(self) -> str:
        """Where the request is, in one word for people and programs."""
        over = self.facts.phase in (Phase.NONE, Phase.ENDED)
        return (self.record.status if over else self.facts.phase).name.lower()

    @property
    def deadline(self) -> int:
        """The last second of its phase; 0: none."""
        return self.facts.deadline if self.facts.phase in WINDOWS else 0

    @property
    def rest(self) -> float:
        """For how many seconds nothing is asked of this account; 0: it may be at once.

        Who is not drawn is asked for nothing before the next round, which it then sees within a
        hundredth of the time for submissions; who waits for a pool to close sees that within a
        hundredth of the time for a start."""
        if self.facts.phase is Phase.WAITING:
            waits = self.has_joined and not self.pool_facts.closed
            return self.terms.start_window / REST_PARTS if waits else 0.0
        if self.facts.phase in (Phase.NONE, Phase.ENDED) or self.own_seat is not None:
            return 0.0
        return self.terms.submit_window / REST_PARTS

    @property
    def account(self) -> str:
        return self.ctx.keys.address

    @cached_property
    def terms(self) -> Terms:
        """From the event of the request's creation."""
        created = self.events("RequestCreated")
        if not created:
            raise ContentMissing(f"request {self.id}: its creation has not been read yet")
        return terms_in(created[-1])

    # ------------------------------------------------------------------ who takes part

    @cached_property
    def cohort(self) -> Cohort:
        """Of the present round."""
        return self.cohort_of(self.facts.seed if self.facts.drawn else bytes(32))

    def cohort_of(self, seed: bytes) -> Cohort:
        """Of a round with this seed; the pool must be closed."""
        return drawn_cohort(self.ctx, self.id, seed, self.frame)

    def cohort_in(self, round_: int) -> Cohort:
        """Of an earlier or the present round."""
        return self.cohort_of(digest_of(self.event("RoundOpened", round_)["seed"]))

    @cached_property
    def own_seat(self) -> int | None:
        """In the present round; None if this account takes no part in it."""
        return self.cohort.seat_of(self.account) if self.round else None

    @property
    def seat(self) -> int:
        """The own seat; only for duties that have checked that there is one."""
        assert self.own_seat is not None
        return self.own_seat

    def in_mask(self, mask: int) -> bool:
        return self.own_seat is not None and bool(mask >> self.own_seat & 1)

    @cached_property
    def pool_facts(self) -> PoolFacts:
        return self.ctx.client.pool.facts(self.id, self.frame)

    @cached_property
    def pool(self) -> tuple[PoolMember, ...]:
        """All members of the closed pool, by index.

        Raises NodeUnreachable where the node's answers are of two blocks: a busy one gives newer
        state than it was asked for, and members are kept for good.
        """
        known = self.ctx.cache.pools.get(self.id)
        if known is None:
            known = self.ctx.client.pool.members(self.id, self.frame)
            if len(known) != self.pool_facts.members:
                raise NodeUnreachable(
                    f"request {self.id}: the node gives {len(known)} members of a pool of"
                    f" {self.pool_facts.members} at block {self.frame.block_number}"
                )
            self.ctx.cache.pools[self.id] = known
        return known

    @property
    def draws(self) -> bool:
        """Whether the closed pool is larger than a cohort, so that each round has other members."""
        return len(self.pool) > self.terms.cohort

    @cached_property
    def own_index(self) -> int | None:
        """In the closed pool; None if this account is no member."""
        for index, member in enumerate(self.pool):
            if member.account == self.account:
                return index
        return None

    @property
    def has_joined(self) -> bool:
        """Whether this account is in the pool."""
        return is_in_pool(self.account, self.events)

    @property
    def judged(self) -> int:
        """Seats whose model counts."""
        return self.facts.submitted & ~self.facts.voided

    @property
    def judged_members(self) -> set[int]:
        """Pool indices of the members whose models count, as far as the chain knows them."""
        return set(self.cohort.indices_of(self.judged))

    @property
    def attesters(self) -> int:
        """Seats that may attest."""
        acting = self.facts.submitted if self.facts.blind else self.facts.revealed
        return acting & ~self.facts.voided

    # ------------------------------------------------------------------ time

    @property
    def phase_start(self) -> int:
        """When the present phase began, in seconds of the chain's time; for phases with a window.
        Where submissions or attestations were opened once more: when they were first opened."""
        window = int(getattr(self.terms, WINDOWS[self.facts.phase]))
        reopens = self.facts.phase in (Phase.SUBMIT, Phase.ATTEST)
        twice = reopens and self.facts.reopened
        return self.facts.deadline - window * (2 if twice else 1)

    def share_passed(self) -> float:
        """How much of the present phase's window is over; 1 for a phase without one."""
        if self.facts.phase not in WINDOWS:
            return 1.0
        start = self.phase_start
        return (self.frame.timestamp - start) / max(1, self.facts.deadline - start)

    def waited(self) -> int:
        """Seconds of the chain's time since this daemon first saw the present phase."""
        seen = self.ctx.cache.first_seen
        key = (self.id, self.round, int(self.facts.phase), int(self.record.status))
        return self.frame.timestamp - seen.setdefault(key, self.frame.timestamp)

    # ------------------------------------------------------------------ events

    def events(self, name: str, round_: int | None = None) -> list[dict[str, Any]]:
        """The request's events of a name, oldest first; with a round, those since the last start:
        a void one began round 1 as well."""
        return self._history.of(name, round_)

    @cached_property
    def _history(self) -> Events:
        """All events of the request; read again when the state has new ones of it."""
        state, kept = self.ctx.state, self.ctx.cache.histories
        known, version = kept.get(self.id), state.version(self.id)
        if known is None or known[0] != version:
            known = kept[self.id] = (version, Events(state.events_of(self.id)))
        return known[1]

    def event(self, name: str, round_: int) -> dict[str, Any]:
        found = self.events(name, round_)
        if not found:
            raise ContentMissing(f"request {self.id}: no {name} of round {round_} read yet")
        return found[-1]


@dataclass(frozen=True)
class LargeView(RequestView):
    """One request whose rounds are large: the cohort of a round is its committee, which judges; all
    other members train."""

    facts: LargeFacts

    @property
    def cohort(self) -> Cohort:
        """Of the present round; NotReady before its committee is drawn."""
        return self.cohort_of(self.seed)

    def cohort_in(self, round_: int) -> Cohort:
        """Of a round that was posted, or the present one."""
        if round_ == self.round:
            return self.cohort
        return self.cohort_of(digest_of(self.event("CommitteeDrawn", round_)["seed"]))

    @property
    def seed(self) -> bytes:
        """Draws the committee; NotReady while the block that decides it is not here."""
        number = self.facts.draw_block
        if number == 0:
            return self.facts.seed
        if number > self.frame.block_number:
            raise NotReady(f"request {self.id}: block {number} draws the committee")
        known, at = self.ctx.cache.seeds, (self.id, self.facts.seed, number)
        if at not in known:
            block = self.drawing_block
            known[at] = next_seed(self.facts.seed, int(block["mixHash"], 16))
        return known[at]

    @property
    def drawing_block(self) -> dict[str, Any]:
        """As the node gives it. Raises NodeUnreachable where it does not."""
        found = self.ctx.client.rpc.call("eth_getBlockByNumber", hex(self.facts.draw_block), False)
        if found is None or "mixHash" not in found:
            raise NodeUnreachable(
                f"the node does not say the randomness of block {self.facts.draw_block}"
            )
        return dict(found)

    @property
    def is_drawn(self) -> bool:
        """Whether it is known who judges."""
        number = self.facts.draw_block
        return bool(self.round) and number <= self.frame.block_number

    @cached_property
    def own_seat(self) -> int | None:
        """Of this account as a judge."""
        return self.cohort.seat_of(self.account) if self.is_drawn else None

    @cached_property
    def own_index(self) -> int | None:
        """Of who left and joined again the present one."""
        found = (i for i, one in enumerate(self.pool) if one.account == self.account)
        return next((index for index in found if index not in self.left), None)

    @property
    def trains(self) -> bool:
        """Whether this account trains in the present round."""
        return self.is_drawn and self.own_seat is None and self.own_index is not None

    @property
    def trainers(self) -> dict[int, str]:
        """Accounts of all that train in the present round, by pool index."""
        out = {*self.cohort.indices, *self.left}
        return {i: one.account for i, one in enumerate(self.pool) if i not in out}

    @property
    def left(self) -> tuple[int, ...]:
        """Members that left before the pool closed."""
        known = self.ctx.cache.left
        if self.id not in known:
            known[self.id] = self.ctx.client.pool.left(self.id, self.frame)
        return known[self.id]

    @property
    def judged_members(self) -> set[int]:
        """The chain knows none of them."""
        return set()

    @property
    def start(self) -> str:
        """What tells a round of this start from the same of another."""
        return self.facts.history.hex()[:16]

    @property
    def rest(self) -> float:
        """Who is in the pool trains or judges in each round."""
        if self.facts.phase is Phase.WAITING or self.own_index is None:
            return super().rest
        return 0.0

    @property
    def judging_window(self) -> int:
        """Seconds from the end of the submissions until which a round may be posted."""
        terms = self.terms
        return terms.commit_window + terms.reveal_window + terms.attest_window

    @property
    def phase_start(self) -> int:
        if self.facts.phase is Phase.ATTEST:
            return self.facts.deadline - self.judging_window
        return super().phase_start

    def share_passed(self) -> float:
        """While a committee judges: of the commit window, in which it is to have its votes; above 1
        after it."""
        if self.facts.phase is not Phase.ATTEST:
            return super().share_passed()
        return self.judging_for() / max(1, self.terms.commit_window)

    def judging_for(self) -> int:
        """Seconds since the submissions were over."""
        return self.frame.timestamp - self.phase_start


def is_in_pool(account: str, events: Callable[[str], list[dict[str, Any]]]) -> bool:
    """Whether an account has joined a request and not left it. `events`: the request's, by name."""
    joined, left = (
        sum(event["provider"] == account for event in events(name)) for name in ("Joined", "Left")
    )
    return bool(joined > left)


def drawn_cohort(ctx: Context, request: int, seed: bytes, frame: Frame | None = None) -> Cohort:
    """Of a round with this seed, asked of the node once; the pool must be closed."""
    cohorts = ctx.cache.cohorts.setdefault(request, {})
    if seed not in cohorts:
        cohorts[seed] = Cohort(*ctx.client.pool.cohort_of(request, seed, frame))
    return cohorts[seed]


def posted_as_whole(ctx: Context, request: int, event: Mapping[str, Any]) -> RoundRecord:
    """The record of a round that an event `RoundPosted` tells of, asked of the node once.

    Raises ContentMissing where the node does not know its transaction now.
    """
    known, at = ctx.cache.posted, (request, int(event["round"]))
    if at not in known:
        found = ctx.client.rounds.posted_record(event["tx"], digest_of(event["record"]))
        if found is None:
            raise ContentMissing(
                f"the record of round {at[1]}, of transaction {event['tx']}, cannot be read now"
            )
        known[at] = found
    return known[at]


def large_posted(ctx: Context, request: int, event: Mapping[str, Any]) -> LargeRecord:
    """As `posted_as_whole`, of a large round."""
    known, at = ctx.cache.large_posted, (request, digest_of(event["record"]))
    if at not in known:
        found = ctx.client.large.posted_record(event["tx"], at[1])
        if found is None:
            raise ContentMissing(
                f"the record of round {event['round']}, of transaction {event['tx']}, cannot be"
                " read now"
            )
        known[at] = found
    return known[at]


def terms_in(created: dict[str, Any]) -> Terms:
    """The terms in the event of a request's creation, as the state keeps it."""
    kept = created["terms"]
    digests = ("specification", "evaluation", "initialModel", "queryKey")
    return terms_of({**kept, **{name: digest_of(kept[name]) for name in digests}})


def digest_of(value: Any) -> bytes:
    """Bytes that the state keeps as hex."""
    return bytes.fromhex(str(value).removeprefix("0x"))
