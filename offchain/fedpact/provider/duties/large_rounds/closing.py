"""What ends a large round that nobody posted, and all of them."""

from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.turns import my_turn_in_pool
from fedpact.provider.request.view import LargeView, large_posted


def close_unposted(view: LargeView) -> DutyResult:
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
