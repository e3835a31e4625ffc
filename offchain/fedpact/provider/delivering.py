"""Deliver the final model's key to the requester (stage 9)."""

from fedpact.content.keys import delivery_key, seal
from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.reading import request_key, specification_of


def deliver_key(view: RequestView) -> DutyResult:
    """Seal the final model's delivery key to the requester: first the last leader, then anyone."""
    state, ctx = view.state, view.ctx
    if not view.in_mask(state.members) or state.final_rounds == 0:
        return idle("nothing to deliver")
    if view.record.delivered:
        return idle("delivered")
    window = specification_of(view).windows.deliver
    if state.last_leader != view.seat and view.frame.timestamp <= state.ended_at + window:
        return idle(f"seat {state.last_leader} delivers first")
    if view.frame.timestamp > state.ended_at + 2 * window:
        return idle("the time to deliver has passed")
    fingerprint = ctx.deployment.fingerprint
    key = delivery_key(request_key(view), fingerprint, view.id, state.final_rounds)
    requester = ctx.client.registry.participant(view.record.requester)
    sealed = seal(requester.encryption_key, key, ctx.keys.seal_entropy)
    receipt = ctx.client.market.deliver(ctx.keys, view.id, view.seat, sealed, view.committee)
    return did(f"delivered the model's key ({receipt.gas_used} gas)")
