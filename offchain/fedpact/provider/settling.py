"""Stage 9 of the workflow: deliver the key to the requester, claim the pay, end stuck requests."""

from fedpact.content.keys import delivery_key, seal
from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.reading import request_key, specification_of
from fedpact.provider.state import Participation
from fedpact.types.rounds import RequestStatus, Stage, seats_of

EXPIRE_TURN_SECONDS = 2
"""How long each member waits for the members before it to end a stuck request."""


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
    receipt = ctx.client.market.deliver(
        ctx.keys, view.id, view.seat, seal(requester.encryption_key, key), view.committee
    )
    return did(f"delivered the model's key ({receipt.gas_used} gas)")


def claim_payment(view: RequestView) -> DutyResult:
    """Claim the pay for the points, or note that nothing is due."""
    ctx, record = view.ctx, view.record
    if not view.has_seat:
        finish(view, "ended without me")
        return idle("ended without me")
    ended = record.status in (RequestStatus.DELIVERED, RequestStatus.CANCELLED)
    if not ended and not _undelivered_for_good(view):
        return idle("waiting for the delivery")
    if record.claimed >> view.seat & 1:
        finish(view, "claimed")
        return idle("claimed")
    amount = ctx.client.market.claimable(view.id, view.seat)
    if amount == 0:
        finish(view, "nothing to claim")
        return idle("nothing to claim")
    receipt = ctx.client.market.claim(ctx.keys, view.id, view.seat)
    finish(view, f"claimed {amount} wei")
    return did(f"claimed {amount} wei ({receipt.gas_used} gas)")


def finish(view: RequestView, reason: str) -> None:
    """Nothing more to do for this request: free its held budget and the bytes kept for it,
    and refund what was charged for models that were never published."""
    fingerprint = view.ctx.deployment.fingerprint
    view.ctx.ledger.end(fingerprint, view.id)
    view.ctx.cache.forget(view.id, view.round + 1)
    view.ctx.cache.memories.pop(view.id, None)
    view.ctx.state.decide(view.id, Participation.FINISHED, reason)


def _undelivered_for_good(view: RequestView) -> bool:
    """Whether the rounds are over and no delivery can come any more.

    A node under load may answer one of a view's two reads from a newer block, so both must say that
    the rounds are over before an account gives up its pay.
    """
    if view.record.status is not RequestStatus.ENDED or view.state.stage is not Stage.ENDED:
        return False
    if view.state.final_rounds == 0 or not view.state.members:
        return True
    window = specification_of(view).windows.deliver
    return view.frame.timestamp > view.state.ended_at + 2 * window


def expire_request(view: RequestView) -> DutyResult:
    """End a request that is stuck: its round failed, or nobody started it."""
    ctx, turns = view.ctx, seats_of(view.state.members)
    if not view.has_seat or view.seat not in turns:
        return idle("the others end it")
    delay = turns.index(view.seat) * EXPIRE_TURN_SECONDS
    now = view.frame.timestamp
    if view.state.stage is Stage.EXPIRED:
        if now < view.state.stage_start + delay:
            return idle("waiting for the members before me to end it")
        receipt = ctx.client.rounds.expire_round(ctx.keys, view.id)
        return did(f"round {view.round} failed: ended the request ({receipt.gas_used} gas)")
    spec, record = specification_of(view), view.record
    dead = record.close_time + len(turns) * spec.windows.start
    if record.joined < spec.min_providers:
        dead = record.join_deadline
    if now <= dead + delay:
        return idle("waiting for the start")
    receipt = ctx.client.market.expire(ctx.keys, view.id)
    return did(f"nobody started it: expired the request ({receipt.gas_used} gas)")
