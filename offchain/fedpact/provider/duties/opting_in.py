"""Judge a request, and opt in to it."""

import time

from fedpact.consensus.artefacts import SLICE_MAX_BYTES
from fedpact.content.fetching import AT_ONCE
from fedpact.errors import ContentMissing, PolicyRefusal
from fedpact.provider.content_store import require_room
from fedpact.provider.context import Context, DutyResult, did, idle
from fedpact.provider.duties.deciding import (
    REFUSALS,
    opt_in_record,
    ready_to_join,
)
from fedpact.provider.duties.declining import decline, public_reason, say_declined
from fedpact.provider.duties.feasibility import fits_its_window, may_pass_its_ceiling
from fedpact.provider.request.history import DaemonHistory
from fedpact.provider.request.reading import put, specification_of
from fedpact.provider.request.view import RequestView
from fedpact.provider.state.checkpoint import Participation
from fedpact.types.cid import Cid
from fedpact.types.decline_reason import Reason
from fedpact.types.requests import Join
from fedpact.types.specification import JudgedOn, Specification

LONGEST_PINNING = 1.0
"""Seconds of a cycle: a request may have a thousand slices."""


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
        pay = terms.pay
        if ctx.deployment.is_large:
            _require_large(ctx, spec)
            # The whole pool shares a round's pay, of which a policy asks what one of a cohort gets.
            pay = terms.pay * terms.cohort // terms.max_pool
        elif spec.privacy.sum is not None:
            _require_exchange(ctx)
        for auditor in spec.auditors:
            if not ctx.client.registry.participant(auditor).active:
                raise PolicyRefusal(f"its auditor {auditor} is not a participant", Reason.REQUEST)
        DaemonHistory(view).initial_model()  # One that no family accepts is declined here.
        drawn = terms.max_pool > terms.cohort  # then judges keep what they judge
        judged = terms.max_pool if ctx.deployment.is_large else terms.cohort
        require_room(ctx.store, spec, judged if drawn else 1)
        missing = _pin_slices(view)
        if missing:
            return idle(f"looking for evaluation slice {missing}: joining once it is here")
        requester = view.record.requester
        reputation = _reputation_asked(view)
        match = ready_to_join(
            ctx,
            spec,
            pay,
            requester,
            view.id,
            terms.token,
            reputation,
            pool.plan.join_deadline,
        )
        if match is None:
            failed = ctx.cache.device_failures.get(view.id)
            if failed is not None:
                return idle(f"trying the device again: {failed[-1]}")
            return idle("looking for what its family needs, or trying the device with it")
        if not fits_its_window(view, spec, match):
            return idle("measuring whether its training fits its window")
        if not may_pass_its_ceiling(view, spec, match):
            return idle("trying whether its training can pass its ceiling")
    except REFUSALS as refusal:
        say_declined(ctx, view.id, public_reason(refusal))
        return decline(ctx, view.id, refusal)
    ctx.state.choose(view.id, match.data.name)
    ctx.keep_records(view.id, match.data)
    endpoint = "" if ctx.exchange is None else ctx.exchange.own
    cid = put(view, opt_in_record(ctx, spec, match, endpoint), "record of joining")
    join = Join(view.account, match.samples, cid.digest)
    pool_contract = ctx.client.pool
    consent = (view.id, match.samples, cid.digest, view.record.terms_hash)
    signed = ctx.keys.for_seat(*pool_contract.domain.typed("Join", *consent))
    receipt = ctx.client.send(ctx.keys, pool_contract.enrol(view.id, [join], signed))
    of = f" of {match.data.name}" if match.data.name else ""
    joined = f"joined with {match.samples} samples{of}"
    ctx.state.decide(view.id, Participation.JOINED, joined)
    return did(f"{joined} ({receipt.gas_used} gas)")


def _reputation_asked(view: RequestView) -> int | None:
    """The requester's reputation, 1/10,000, where a policy asks for one."""
    if not any(one.policy.min_requester_reputation for one in view.ctx.data):
        return None
    ledger = view.ctx.client.reputation
    return ledger.requester_reputation(view.record.requester, view.frame)


def _require_large(ctx: Context, spec: Specification) -> None:
    """Raise PolicyRefusal for a request of large rounds that this member could take no part in."""
    if ctx.exchange is None or not ctx.exchange.own:
        raise PolicyRefusal(
            "members of large rounds send each other their models' digests: set listen",
            Reason.LARGE,
        )
    if spec.privacy.sum is not None or spec.judged_on is not JudgedOn.SLICES:
        raise PolicyRefusal("large rounds judge each model, on slices", Reason.REQUEST)


def _require_exchange(ctx: Context) -> None:
    """Raise PolicyRefusal where this member could take no part in a secure sum."""
    exchange = ctx.exchange
    if exchange is None or not exchange.own:
        raise PolicyRefusal(
            "members of a secure sum send each other messages: set listen", Reason.SUMS
        )
    if ctx.keys.wallet is not None:
        raise PolicyRefusal(
            "members of a secure sum sign with keys, not as contract wallets", Reason.SUMS
        )


def _pin_slices(view: RequestView) -> int | None:
    """Keep every sealed slice here, so that the requester cannot take one back; the number of the
    first that is missing, or comes after LONGEST_PINNING.

    What has come is kept whatever is missing: until then it is in memory.
    """
    ctx, parts = view.ctx, enumerate(specification_of(view).evaluation, 1)
    missing = {
        number: Cid.parse(part.cid)
        for number, part in parts
        if (view.id, number) not in ctx.cache.pinned
    }
    for cid in [*missing.values()][:AT_ONCE]:
        ctx.fetching.begin_pinning(view.id, cid, SLICE_MAX_BYTES)
    until, lacking = time.monotonic() + LONGEST_PINNING, list[int]()
    for number, cid in missing.items():
        if time.monotonic() > until or len(lacking) == AT_ONCE:
            lacking.append(number)
            break
        try:
            pinned = ctx.fetching.is_pinned(view.id, cid, SLICE_MAX_BYTES)
        except ContentMissing:
            pinned = False
        if pinned:
            ctx.cache.pinned.add((view.id, number))
        else:
            lacking.append(number)
    return min(lacking, default=None)
