"""Judge a request, opt in to it, and start it."""

import time
from collections.abc import Iterable

from fedpact.consensus.artefacts import SLICE_MAX_BYTES
from fedpact.content.delivery import Point, withheld
from fedpact.content.keys import Manifest, committee_key, key_hash
from fedpact.errors import (
    ContentMissing,
    PolicyRefusal,
)
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.declining import say_declined
from fedpact.provider.ending import finish
from fedpact.provider.fetching import AT_ONCE
from fedpact.provider.history import DaemonHistory
from fedpact.provider.joining import (
    REFUSALS,
    decline,
    opt_in_record,
    public_reason,
    ready_to_join,
)
from fedpact.provider.keeping import require_room
from fedpact.provider.reading import deliveries_of, fetched, specification_of
from fedpact.provider.state import Participation
from fedpact.provider.turns import TURN_SECONDS
from fedpact.provider.view import RequestView
from fedpact.types.cid import Cid
from fedpact.types.declining import Reason
from fedpact.types.requests import Join, PoolFacts, Start

LONGEST_PINNING = 1.0
"""Seconds of a cycle: a request may have a thousand slices."""

# ---------------------------------------------------------------------- opting in


def opt_in(view: RequestView) -> DutyResult:
    """Join if policy and privacy budget allow it; otherwise decline for good."""
    ctx, terms, pool = view.ctx, view.terms, view.pool_facts
    if ctx.cache.held:
        return idle(ctx.cache.held)
    try:
        if pool.members - pool.left >= terms.max_pool:
            raise PolicyRefusal("its pool is full", Reason.FULL)
        spec = specification_of(view)
        if spec.invited and ctx.keys.address not in spec.invited:
            raise PolicyRefusal("others are invited", Reason.INVITED)
        if spec.privacy.sum is not None:
            _require_exchange(view)
        for auditor in spec.auditors:
            if not ctx.client.registry.participant(auditor).active:
                raise PolicyRefusal(f"its auditor {auditor} is not a participant", Reason.REQUEST)
        DaemonHistory(view).initial_model()  # One that no family accepts is declined here.
        drawn = terms.max_pool > terms.cohort  # then judges keep what they judge
        require_room(ctx.store, spec, terms.cohort if drawn else 1)
        missing = _pin_slices(view)
        if missing:
            return idle(f"looking for evaluation slice {missing}: joining once it is here")
        requester = view.record.requester
        match = ready_to_join(ctx, spec, terms.pay, requester, view.id, terms.token)
        if match is None:
            return idle("looking for what its family needs")
    except REFUSALS as refusal:
        say_declined(ctx, view.id, public_reason(refusal))
        return decline(ctx, view.id, refusal)
    ctx.state.choose(view.id, match.data.name)
    ctx.keep_records(view.id, match.data)
    endpoint = "" if ctx.exchange is None else ctx.exchange.own
    cid = ctx.store.put(opt_in_record(ctx, spec, match, endpoint))
    join = Join(view.account, match.samples, cid.digest)
    receipt = ctx.client.send(ctx.keys, ctx.client.pool.enrol(view.id, [join], []))
    of = f" of {match.data.name}" if match.data.name else ""
    joined = f"joined with {match.samples} samples{of}"
    ctx.state.decide(view.id, Participation.JOINED, joined)
    return did(f"{joined} ({receipt.gas_used} gas)")


def _require_exchange(view: RequestView) -> None:
    """Raise PolicyRefusal where this member could take no part in a secure sum."""
    exchange = view.ctx.exchange
    if exchange is None or not exchange.own:
        raise PolicyRefusal(
            "members of a secure sum send each other messages: set listen", Reason.SUMS
        )
    if view.terms.max_pool > view.terms.cohort:
        raise PolicyRefusal("a secure sum needs a pool that takes part as a whole", Reason.REQUEST)


def _pin_slices(view: RequestView) -> int | None:
    """Keep every sealed slice here, so that the requester cannot take one back; the number of the
    first that is missing, or comes after LONGEST_PINNING."""
    ctx, parts = view.ctx, enumerate(specification_of(view).evaluation, 1)
    missing = {
        number: Cid.parse(part.cid)
        for number, part in parts
        if (view.id, number) not in ctx.cache.pinned
    }
    for cid in [*missing.values()][:AT_ONCE]:
        ctx.fetching.begin(view.id, cid, SLICE_MAX_BYTES)
    until = time.monotonic() + LONGEST_PINNING
    for number, cid in missing.items():
        if time.monotonic() > until:
            return number
        try:
            ctx.store.put(fetched(view, cid, SLICE_MAX_BYTES, f"evaluation slice {number}"))
        except ContentMissing:
            return number
        ctx.cache.pinned.add((view.id, number))
    return None


# ---------------------------------------------------------------------- starting


def wait_for_members(view: RequestView) -> DutyResult:
    """Wait until the pool closes."""
    return idle(f"joined; the pool has {view.pool_facts.members} of {view.terms.max_pool} members")


def start_request(view: RequestView) -> DutyResult:
    """Start it in this member's turn, or end it if it cannot start."""
    if view.own_index is None:
        finish(view, "its pool closed without me")
        return idle("its pool closed without me")
    if not view.pool_facts.enough:
        return _expire(view, "too few joined")
    return _start(view, view.pool_facts, view.own_index)


def _start(view: RequestView, pool: PoolFacts, index: int) -> DutyResult:
    """Make the request's key, seal it to the pool, and open round 1 in this member's turn."""
    ctx, facts, now = view.ctx, view.facts, view.frame.timestamp
    began, window = facts.deadline or pool.closed_at, view.terms.start_window
    if now > began + (pool.members - facts.turn) * window:
        return _expire(view, "nobody started it")
    if index < facts.turn:
        return idle("my turn to start is over")
    if now < began + (index - facts.turn) * window:
        return idle(f"member {facts.turn} starts first")
    if ctx.client.pool.has_left(view.id, index, view.frame):
        return idle("left the pool")
    ctx.client.agree(view.frame)
    secret = _new_request_key(view)
    fingerprint = ctx.deployment.fingerprint
    deliveries = deliveries_of(view, secret)
    cid = ctx.store.put(_manifest(view, secret, deliveries.ephemeral).encode())
    start = Start(
        cid.digest,
        key_hash(secret),
        bytes(committee_key(secret, fingerprint, view.id).public_key),
        deliveries.root,
    )
    receipt = ctx.client.send(ctx.keys, ctx.client.rounds.start(view.id, index, start))
    return did(f"started with a pool of {pool.members} ({receipt.gas_used} gas)")


def _manifest(view: RequestView, secret: bytes, ephemeral: Point) -> Manifest:
    """The request key, sealed to the pool, and to the auditors so that it opens for them once
    something is delivered."""
    here, entropy = view.ctx.deployment.fingerprint, view.ctx.keys.seal_entropy

    def sealing(content: bytes, accounts: Iterable[str]) -> Manifest:
        registry = view.ctx.client.registry
        public = {one: registry.participant(one).encryption_key for one in accounts}
        return Manifest.sealing(content, public, here, view.id, "request-key", 0, entropy)

    members = sealing(secret, [one.account for one in view.pool])
    later = withheld(secret, ephemeral, here, view.id)
    return members.with_seals_of(sealing(later, specification_of(view).auditors))


def _new_request_key(view: RequestView) -> bytes:
    """32 bytes that follow from the account's key, so that starting again is the same call.

    The history is in: after a void start, or a reorganisation that gave the number to another
    request, the key is another."""
    ctx = view.ctx
    request = (ctx.deployment.fingerprint, view.id.to_bytes(32, "big"), view.facts.history)
    return ctx.keys.derive("request-key", *request)


def _expire(view: RequestView, reason: str) -> DutyResult:
    """End a request that cannot start; members take turns, so that only one pays for it."""
    if view.waited() < (view.own_index or 0) * TURN_SECONDS:
        return idle(f"{reason}; waiting for the members before me to end it")
    ctx = view.ctx
    receipt = ctx.client.send(ctx.keys, ctx.client.rounds.expire(view.id))
    return did(f"{reason}: ended the request ({receipt.gas_used} gas)")
