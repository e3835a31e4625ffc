"""Checks of who opted in, who was drawn for each round, and who started the request."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from fedpact.audit.chain import Facts, require_asked
from fedpact.audit.replay_round import Seats
from fedpact.audit.report import Unavailable, counted, require
from fedpact.audit.reputation import LedgerReplay
from fedpact.audit.request_events import Evidence, RoundEvidence, StartEvidence
from fedpact.chain.abi import POOL
from fedpact.chain.bindings.events import Joined, Left, ModelsSubmitted
from fedpact.chain.signed_messages import Domain
from fedpact.consensus import draw
from fedpact.content.keys import MANIFEST_MAX_BYTES, Manifest
from fedpact.content.store import ContentStore
from fedpact.types.cid import Cid
from fedpact.types.requests import LeaderRule, PoolMember, WeightRule, seats_of
from fedpact.types.specification import Specification

_MAX_BATCH = 700
"""Members of a blob (contracts/libraries/MemberBlob.sol)."""


@dataclass(frozen=True)
class ReplayedPool:
    """A pool as its joins and leaves make it."""

    members: tuple[PoolMember, ...]
    left: frozenset[int]
    """Indices of those that have left."""


class PoolChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(
        self,
        evidence: Evidence,
        facts: Facts,
        ledger: LedgerReplay,
        store: ContentStore,
        specification: Callable[[], Specification],
    ) -> None:
        self._e = evidence
        self._facts = facts
        self._ledger = ledger
        self._store = store
        self._specification = specification
        self._drawn: dict[bytes, Seats] = {}
        """Cohorts by their seed."""

    @cached_property
    def roster(self) -> ReplayedPool:
        """The members in the order of the pool, recomputed from the joins.

        The order follows from which joins were made by one call. Raises Unavailable where another
        contract made several joins in one transaction, and the pool is not in the order that it
        would have if one call had made them all: events and calldata do not tell."""
        terms = self._e.terms
        joins = [one for one in self._e.pool if isinstance(one, Joined)]
        require(all(one.samples for one in joins), "somebody joined without a sample")
        ordered = [one for batch in _blobs(self._batches) for one in batch]
        reputations = [self._reputation_of(one) for one in ordered]
        weights = [
            draw.weight_of(int(terms.weight_rule), one.samples, reputation, terms.sample_cap)
            for one, reputation in zip(ordered, reputations, strict=True)
        ]
        members = tuple(
            PoolMember(one.provider, one.organisation, one.samples, reputation, total)
            for one, reputation, total in zip(
                ordered, reputations, accumulate(weights), strict=True
            )
        )
        if members != self._facts.members:
            self._need_calls()
        gone = {one.provider for one in self._e.pool if isinstance(one, Left)}
        left = frozenset(index for index, one in enumerate(members) if one.account in gone)
        return ReplayedPool(members, left)

    @property
    def drawn(self) -> bool:
        """Whether the pool is larger than a cohort."""
        return len(self.roster.members) > self._e.terms.cohort

    def seats_in(self, one: RoundEvidence) -> Seats:
        """The cohort of a round, drawn again from its seed."""
        return self.seats_of(one.opened.seed)

    def seats_of(self, seed: bytes) -> Seats:
        """The cohort that a seed draws; once a seed."""
        roster = self.roster
        if seed not in self._drawn:
            sums = [0, *(member.weight_sum for member in roster.members)]
            weights = [after - before for before, after in pairwise(sums)]
            indices = draw.cohort(seed, weights, self._e.terms.cohort, roster.left)
            members = tuple(roster.members[index] for index in indices)
            self._drawn[seed] = Seats(indices, members)
        return self._drawn[seed]

    # ------------------------------------------------------------------ items

    def opt_ins(self) -> str:
        """Each provider agreed to these terms, by a signature or its own transaction, in time; the
        pool is made of these joins alone, one of an organisation, none of the requester's."""
        joins = [one for one in self._e.pool if isinstance(one, Joined)]
        organisations = [one.organisation for one in joins]
        require(len(set(organisations)) == len(joins), "an organisation joined twice")
        own = self._facts.pool.plan.requester_organisation
        require(own not in organisations, "the requester's own organisation joined")
        deadline = self._facts.timestamp(self._e.created.at.block) + self._e.terms.join_window
        for one in joins:
            late = self._facts.timestamp(one.at.block) > deadline
            require(not late, f"{one.provider} joined after the pool was closed")
        require(
            self._facts.members == self.roster.members,
            f"the pool holds {_shown(self._facts.members)}, the joins make"
            f" {_shown(self.roster.members)}",
        )
        signed = sum(self._authorised(batch) for batch in self._batches)
        return f"{len(joins)} joined, {signed} by a signature; {len(self.roster.left)} left"

    def invited(self) -> str:
        """If the specification names who is invited, nobody else joined."""
        named = set(self._specification().invited)
        if not named:
            return "open to all"
        joined = {one.account for one in self.roster.members}
        strangers = sorted(joined - named)
        require(not strangers, f"joined without being invited: {', '.join(strangers)}")
        return f"{len(joined)} of {len(named)} invited joined"

    def starts(self) -> str:
        """Each start came from the member whose turn it was, in time; a void one has its fault."""
        self._need_start()
        window, now, turn = self._e.terms.start_window, self._closed_at(), 0
        for number, start in enumerate(self._e.starts, 1):
            event = start.event
            require(
                event.index < len(self.roster.members)
                and self.roster.members[event.index].account == event.member,
                f"start {number}: {event.member} is not member {event.index}",
            )
            require(event.index not in self.roster.left, f"start {number}: the member had left")
            at = self._facts.timestamp(event.at.block)
            opens = now + (event.index - turn) * window
            closes = now + (len(self.roster.members) - turn) * window
            require(
                event.index >= turn and opens <= at <= closes,
                f"start {number}: member {event.index} started at {at}; its turn was from {opens}"
                f" to {closes}",
            )
            turn = event.index + 1
            last = number == len(self._e.starts)
            require(
                last or start.void is not None,
                f"start {number}: it was not void, and another followed",
            )
            if start.void is not None:
                self._void(number, start)
                now = self._facts.timestamp(start.void.at.block)
        return counted(len(self._e.starts), "start")

    def draws(self) -> str:
        """Each round's seed follows from the block that decided it, and its cohort from the seed;
        a pool of no more than a cohort takes part as a whole."""
        self._need_start()
        shown = []
        for start in self._e.starts:
            seed = bytes(32)
            for one in start.rounds:
                if self.drawn:
                    chance = self._facts.randomness(one.opened.at.block)
                    first = one.number == 1
                    request = self._e.request_id
                    seed = (
                        draw.first_seed(request, chance) if first else draw.next_seed(seed, chance)
                    )
                require(
                    one.opened.seed == seed,
                    f"{one.name}: the seed is 0x{one.opened.seed.hex()}, 0x{seed.hex()} follows"
                    " from its block",
                )
                seats = self.seats_in(one)
                if one.credited is not None:
                    require(
                        one.credited.cohort == seats.word,
                        f"{one.name}: members {_indices(one.credited.cohort, seats)} were counted,"
                        f" {list(seats.indices)} drawn",
                    )
                shown.append(f"{one.number}: {list(seats.indices)}")
        return "; ".join(shown) if self.drawn else f"all {len(self.roster.members)} in every round"

    def key_manifest(self) -> str:
        """The sealed request keys are available, and hold a seal for every member and auditor."""
        start = self._need_start()
        cid = Cid.of_digest(start.event.start.manifest, MANIFEST_MAX_BYTES)
        manifest = Manifest.decode(self._store.get(cid, MANIFEST_MAX_BYTES))
        here = self._facts.deployment.fingerprint
        require(
            (manifest.deployment, manifest.request_id) == (here, self._e.request_id),
            "the sealed keys are those of another request",
        )
        readers = {one.account for one in self.roster.members}
        readers |= set(self._specification().auditors)
        lacking = sorted(one for one in readers if one.lower() not in manifest.seals)
        require(not lacking, f"nothing was sealed to {', '.join(lacking)}")
        return f"{cid}: {counted(len(manifest.seals), 'seal')}"

    # ------------------------------------------------------------------ parts

    @cached_property
    def _batches(self) -> list[list[Joined]]:
        """The joins of each call: joins of a transaction that ascend by organisation. Of several
        calls that another contract made one after the other this may make one (`_need_calls`)."""
        batches: list[list[Joined]] = []
        for one in self._e.pool:
            if not isinstance(one, Joined):
                continue
            last = batches[-1][-1] if batches else None
            same = last is not None and last.at.tx_hash == one.at.tx_hash
            if last is not None and same and one.organisation > last.organisation:
                batches[-1].append(one)
            else:
                batches.append([one])
        return batches

    def _need_calls(self) -> None:
        """Raise Unavailable where it is unknown which joins were made by one call."""
        pool = self._facts.deployment.contracts[POOL]
        for batch in self._batches:
            tx_hash = batch[0].at.tx_hash
            by = str(self._facts.transaction(tx_hash)["to"])
            if len(batch) > 1 and by.lower() != pool.lower():
                raise Unavailable(
                    f"transaction {tx_hash} made {len(batch)} joins by another contract, {by},"
                    " in an unknown number of calls, from which the order of the pool follows"
                )

    def _authorised(self, batch: list[Joined]) -> int:
        """How many joins of a batch were signed; the sender's own needs no signature."""
        at = batch[0].at
        said = [(one.provider, one.samples, one.attributes) for one in batch]
        found = [
            one
            for one in self._facts.asked(at, POOL, "enrol")
            if [(join["account"], join["samples"], join["attributes"]) for join in one.args[1]]
            == said
        ]
        asked = require_asked(found, at, "enrol")
        deployment = self._facts.deployment
        domain = Domain(deployment.chain_id, deployment.pool)
        messages = [
            (account, domain.join(self._e.request_id, samples, record, self._e.created.terms_hash))
            for account, samples, record in said
        ]
        failing = self._facts.all_sign(messages, asked.sender, asked.args[2], at)
        require(
            failing is None,
            f"{batch[failing or 0].provider} did not sign that it joins with these terms",
        )
        return sum(account != asked.sender for account, _ in messages)

    def _reputation_of(self, one: Joined) -> int:
        """What the pool keeps: 0 where neither draw nor leader rule reads it."""
        terms = self._e.terms
        drawn_by_it = terms.weight_rule is WeightRule.REPUTATION
        if not drawn_by_it and terms.leader_rule is not LeaderRule.REPUTATION:
            return 0
        return self._ledger.provider_score(one.provider, one.at, self._facts.timestamp)

    def _closed_at(self) -> int:
        """When the pool was closed: by its last join if that filled it."""
        deadline = self._facts.timestamp(self._e.created.at.block) + self._e.terms.join_window
        present = len(self.roster.members) - len(self.roster.left)
        last = max(
            (one.at.block for one in self._e.pool if isinstance(one, Joined)),
            default=self._e.created.at.block,
        )
        return self._facts.timestamp(last) if present == self._e.terms.max_pool else deadline

    def _void(self, number: int, start: StartEvidence) -> None:
        if self._facts.deployment.is_large:
            return  # nobody can tell it from a silent committee, and it is no fault
        submitted = sum(len(_submitted(one)) for one in start.rounds)
        require(submitted < 2, f"start {number}: it was void, though {submitted} submitted")
        faults = [
            entry
            for entry in self._e.earned
            if entry.void_start and entry.cohort == start.event.index and entry.faults == 1
        ]
        require(bool(faults), f"start {number}: it was void, and its member has no fault")

    def _need_start(self) -> StartEvidence:
        if self._e.start is None:
            raise Unavailable("the request has not started")
        return self._e.start


def _blobs(batches: list[list[Joined]]) -> list[list[Joined]]:
    """The pool's blobs: a new batch takes up earlier ones of at most twice its size
    (contracts/TrainingPool.sol)."""
    blobs: list[list[Joined]] = []
    for batch in batches:
        joined = list(batch)
        while blobs:
            fits = len(blobs[-1]) <= 2 * len(joined)
            if not fits or len(blobs[-1]) + len(joined) > _MAX_BATCH:
                break
            joined = sorted(blobs.pop() + joined, key=lambda one: one.organisation)
        blobs.append(joined)
    return blobs


def _submitted(one: RoundEvidence) -> set[int]:
    masks = [step.mask for step in one.steps if isinstance(step, ModelsSubmitted)]
    return {seat for mask in masks for seat in seats_of(mask)}


def _indices(word: int, seats: Seats) -> list[int]:
    return [word >> 16 * seat & 0xFFFF for seat in range(len(seats.indices))]


def _shown(members: tuple[PoolMember, ...]) -> str:
    return ", ".join(
        f"{one.account} ({one.samples} samples, reputation {one.reputation})" for one in members
    )
