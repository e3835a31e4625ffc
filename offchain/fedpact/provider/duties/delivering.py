"""Deliver the model and settle the request."""

from fedpact.consensus.payout import fold
from fedpact.consensus.settling import ENTRIES_PER_CALL
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.collecting_pay import collect, uncollected_entries
from fedpact.provider.duties.finishing import finish
from fedpact.provider.duties.turns import my_turn_in_pool
from fedpact.provider.request.reading import deliveries_of, request_key
from fedpact.provider.request.view import RequestView
from fedpact.types.requests import RoundsOutcome, Status


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
        return collect(view, view.own_index)
    if status is Status.OPEN and outcome.final_rounds:
        if view.frame.timestamp > outcome.ended_at + view.terms.deliver_window:
            return _settle(view, "not delivered in time")
        return _deliver(view, outcome)
    if status is Status.DELIVERED:
        if view.frame.timestamp <= view.record.delivered_at + view.terms.dispute_window:
            return idle("delivered; the requester may accept or dispute it")
        return _settle(view, "delivered")
    return _settle(view, "disputed" if status is Status.DISPUTED else "no round became final")


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
    entries = uncollected_entries(view)
    if len(entries) > ENTRIES_PER_CALL:
        rest, last = entries[:-ENTRIES_PER_CALL], entries[-ENTRIES_PER_CALL:]
        call = market.collect(view.id, view.terms, fold(rest), last)
        receipt = ctx.client.send(ctx.keys, call)
        return did(f"took in {len(last)} entries of the settlement ({receipt.gas_used} gas)")
    receipt = ctx.client.send(ctx.keys, market.settle(view.id, view.terms, entries))
    return did(f"{reason}: settled ({receipt.gas_used} gas)")
