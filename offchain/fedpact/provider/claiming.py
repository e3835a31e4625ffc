"""Claim the pay for the points from the escrow (stage 9)."""

from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.ending import finish
from fedpact.provider.reading import specification_of
from fedpact.types.rounds import RequestStatus, Stage


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
