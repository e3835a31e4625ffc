"""Deliver the model, settle the request, collect the pay; let go of a request; what ends large
rounds."""

from collections.abc import Sequence

from fedpact.chain.bindings.token import shown_currency
from fedpact.consensus.payout import fold, uncollected
from fedpact.consensus.settling import ENTRIES_PER_CALL
from fedpact.errors import ContentMissing
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.turns import my_turn_in_pool
from fedpact.provider.request.reading import deliveries_of, request_key
from fedpact.provider.request.view import LargeView, RequestView, digest_of, large_posted
from fedpact.provider.state.checkpoint import Participation
from fedpact.types.requests import Earned, RoundsOutcome, Status
from fedpact.types.scores import MAX_SEATS


def end_request(view: RequestView) -> DutyResult:
    """What a request whose rounds are over asks of this account."""
    status = view.record.status
    if view.ctx.exchange is not None:
        view.ctx.exchange.forget(view.id, view.round + 1)
    if not view.events("Started"):
        finish(view, "it was never started")
        return idle("it was never started")
    if view.own_index is None:
        finish(view, "ended without me")
        return idle("ended without me")
    outcome = view.ctx.client.any_rounds.outcome(view.id, view.frame)
    if status is Status.SETTLED:
        return _collect(view, view.own_index)
    if status is Status.OPEN and outcome.final_rounds:
        if view.frame.timestamp > outcome.ended_at + view.terms.deliver_window:
            return _settle(view, "not delivered in time")
        return _deliver(view, outcome)
    if status is Status.DELIVERED:
        if view.frame.timestamp <= view.record.delivered_at + view.terms.dispute_window:
            return idle("delivered; the requester may accept or dispute it")
        return _settle(view, "delivered")
    return _settle(view, "disputed" if status is Status.DISPUTED else "no round became final")


def finish(view: RequestView, reason: str) -> None:
    """Nothing more to do for this request: free its held budget, its records and the bytes kept
    for it, and refund what was charged for models that were never published."""
    view.ctx.drop_records(view.id)
    view.ctx.ledger.end(view.ctx.deployment.fingerprint, view.id)
    view.ctx.cache.end(view.id)
    view.ctx.state.said.forget(view.id)
    view.ctx.state.decide(view.id, Participation.FINISHED, reason)


def _deliver(view: RequestView, outcome: RoundsOutcome) -> DutyResult:
    """Deliver the final model's key, sealed to the requester: any member computes the same."""
    if not my_turn_in_pool(view, view.facts.last_leader or 0):
        return idle("waiting for the members before me to deliver")
    ctx = view.ctx
    delivery = deliveries_of(view, request_key(view)).after(outcome.final_rounds)
    call = ctx.client.market.deliver(view.id, view.terms, delivery.fields)
    receipt = ctx.client.send(ctx.keys, call)
    return did(f"delivered the model's key ({receipt.gas_used} gas)")


def _settle(view: RequestView, reason: str) -> DutyResult:
    """Have the market share out the money."""
    if not my_turn_in_pool(view, view.facts.last_leader or 0):
        return idle(f"{reason}; waiting for the members before me to settle")
    ctx, market = view.ctx, view.ctx.client.market
    entries = _uncollected(view)
    if len(entries) > ENTRIES_PER_CALL:
        rest, last = entries[:-ENTRIES_PER_CALL], entries[-ENTRIES_PER_CALL:]
        call = market.collect(view.id, view.terms, fold(rest), last)
        receipt = ctx.client.send(ctx.keys, call)
        return did(f"took in {len(last)} entries of the settlement ({receipt.gas_used} gas)")
    receipt = ctx.client.send(ctx.keys, market.settle(view.id, view.terms, entries))
    return did(f"{reason}: settled ({receipt.gas_used} gas)")


def entries_of(view: RequestView) -> list[Earned]:
    """What the rounds earned, as the chain knows it."""
    entries = [
        Earned(one["cohort"], one["points"], one["extra"], digest_of(one["digest"]))
        for one in view.events("Credited")
    ]
    if fold(entries) != view.facts.earned:
        raise ContentMissing("not all that the rounds earned has been read yet")
    return entries


def _uncollected(view: RequestView) -> Sequence[Earned]:
    """The beginning of the list, up to where it has been taken in."""
    collected = view.events("Collected")
    cursor = digest_of(collected[-1]["cursor"]) if collected else None
    return uncollected(entries_of(view), cursor)


def _collect(view: RequestView, index: int) -> DutyResult:
    """Collect what a large pool's settlement left unpaid; a small one is paid at once."""
    ctx, market = view.ctx, view.ctx.client.market
    if len(view.pool) > MAX_SEATS and market.unpaid(view.id, index, view.frame):
        receipt = ctx.client.send(ctx.keys, market.pay(view.id, view.terms, [index]))
        return did(f"collected the pay ({receipt.gas_used} gas)")
    token = view.terms.token
    paid = sum(
        event["amount"]
        for event in view.events("Paid")
        if event["account"] == view.account and event["token"] == token
    )
    reason = f"paid {shown_currency(ctx.client, token).text(paid)}"
    finish(view, reason)
    return idle(reason)


def close_large_round(view: LargeView) -> DutyResult:
    """Close a round that nobody posted in time; members take turns."""
    if not my_turn_in_pool(view, view.round):
        return idle("waiting for the members before me to close the round")
    ctx = view.ctx
    receipt = ctx.client.send(ctx.keys, ctx.client.large.close(view.id))
    return did(f"round {view.round} came to nothing: closed it ({receipt.gas_used} gas)")


def sum_points(view: LargeView) -> DutyResult:
    """Have the contract add up the points of all rounds; members take turns."""
    if not my_turn_in_pool(view, 0):
        return idle("waiting for the members before me to sum up the points")
    ctx = view.ctx
    records = [large_posted(ctx, view.id, one) for one in view.events("RoundPosted")]
    points = [record.points for record in records if any(record.points)]
    receipt = ctx.client.send(ctx.keys, ctx.client.large.sum(view.id, points))
    return did(f"summed up the points of {len(points)} rounds ({receipt.gas_used} gas)")
