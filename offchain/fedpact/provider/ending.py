"""End a stuck request on chain; let go of one for which nothing is left to do."""

from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.reading import specification_of
from fedpact.provider.state import Participation
from fedpact.types.rounds import Stage, seats_of

EXPIRE_TURN_SECONDS = 2
"""How long each member waits for the members before it to end a stuck request."""


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


def finish(view: RequestView, reason: str) -> None:
    """Nothing more to do for this request: free its held budget, its records and the bytes kept
    for it, and refund what was charged for models that were never published."""
    fingerprint = view.ctx.deployment.fingerprint
    view.ctx.drop_records(view.id)
    view.ctx.ledger.end(fingerprint, view.id)
    view.ctx.cache.forget(view.id, view.round + 1)
    view.ctx.cache.replays.pop(view.id, None)
    view.ctx.state.decide(view.id, Participation.FINISHED, reason)
