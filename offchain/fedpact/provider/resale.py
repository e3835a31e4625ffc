"""Resales of results: seal the delivery key to the buyer, claim the share."""

from collections import Counter

from fedpact.chain.records import Frame
from fedpact.content.keys import delivery_key, seal
from fedpact.provider.context import Context, DutyResult, RequestView, Resales, did, idle
from fedpact.provider.reading import request_key, specification_of
from fedpact.types.resale import PurchaseStatus
from fedpact.types.rounds import seats_of

LAST_PART = 10
"""In the last tenth of the window nothing is sealed: if a key were mined too late, the buyer would
have the model (from the mempool) and its money back."""


def resold(ctx: Context, frame: Frame) -> set[int]:
    """Requests that the account joined and that have a buyer who may still get a key, or sales that
    are not claimed yet; from the events alone."""
    known = ctx.cache.resales
    if known is None or known.changes != ctx.state.changes:
        known = ctx.cache.resales = _resales(ctx)
    asked = {
        request
        for request, buyers in known.waiting.items()
        if any(deadline >= frame.timestamp for deadline in buyers.values())
    }
    asked |= {
        request
        for request, count in known.sales.items()
        if count > max(known.claimed[request], ctx.cache.sales.get(request, 0))
    }
    return {request for request in asked if has_joined(ctx, request)}


def _resales(ctx: Context) -> Resales:
    waiting: dict[int, dict[str, int]] = {}
    sales: Counter[int] = Counter()
    claimed: Counter[int] = Counter()
    names = ("ResultBought", "KeySealed", "PurchaseRefunded", "ResaleClaimed")
    for name, args in ctx.state.events_named(*names):
        request = int(args["requestId"])
        if name == "ResultBought":
            waiting.setdefault(request, {})[args["buyer"]] = args["deadline"]
        elif name == "ResaleClaimed":
            if args["provider"] == ctx.keys.address:
                claimed[request] = sales[request]
        elif waiting.get(request, {}).pop(args["buyer"], None) and name == "KeySealed":
            sales[request] += 1  # Further keys for one purchase earn nothing.
    return Resales(ctx.state.changes, waiting, sales, claimed)


def seal_to_buyers(view: RequestView) -> DutyResult:
    """Seal the final model's delivery key to a buyer without one, when it is this member's turn."""
    ctx, record = view.ctx, view.record
    points, _ = ctx.client.rounds.points(view.id, view.frame)
    if view.own_seat is None or not points[view.seat]:
        return idle("no part in the result")
    reason = "every buyer has its key"
    for buyer in _buyers(view):
        bought = ctx.client.resale.purchase(view.id, buyer, view.frame)
        if bought.status is not PurchaseStatus.PENDING:
            continue
        resale = specification_of(view).resale
        if resale is None or resale.price != bought.price:
            reason = f"{buyer} paid {bought.price} wei, which is not what I agreed to"
            continue
        holders = [seat for seat in seats_of(view.state.members) if points[seat]]
        turn = holders.index(view.seat) * record.deliver_window / (2 * len(holders))
        if view.frame.timestamp < bought.deadline - record.deliver_window + turn:
            reason = f"seat {holders[0]} seals to {buyer} first"
            continue
        if view.frame.timestamp > bought.deadline - record.deliver_window / LAST_PART:
            reason = f"too late to seal to {buyer}"
            continue
        parts = (ctx.deployment.fingerprint, view.id, view.state.final_rounds)
        public_key = ctx.client.registry.participant(buyer).encryption_key
        key = delivery_key(request_key(view), *parts)
        sealed = seal(public_key, key, ctx.keys.seal_entropy)
        receipt = ctx.client.resale.seal(ctx.keys, view.id, view.seat, buyer, sealed)
        return did(f"sealed the model's key to {buyer} ({receipt.gas_used} gas)")
    return idle(reason)


def claim_resale(view: RequestView) -> DutyResult:
    """Claim the share in the result's resales."""
    ctx = view.ctx
    if view.own_seat is None or ctx.deployment.resale is None:
        return idle("no part in the result")
    sold = len({event["buyer"] for event in ctx.state.events(view.id, "KeySealed")})
    amount = ctx.client.resale.claimable(view.id, view.seat, view.frame)
    if amount == 0:
        # Nothing, or less than one wei: not checked again before the next sale.
        ctx.cache.sales[view.id] = sold
        return idle("nothing to claim")
    receipt = ctx.client.resale.claim(ctx.keys, view.id, view.seat)
    return did(f"claimed {amount} wei from resales ({receipt.gas_used} gas)")


def _buyers(view: RequestView) -> list[str]:
    """All buyers of this result, each once, in order of their first purchase."""
    bought = view.ctx.state.events(view.id, "ResultBought")
    return list(dict.fromkeys(event["buyer"] for event in bought))


def has_joined(ctx: Context, request: int) -> bool:
    """Whether this account took part in a request."""
    joined = ctx.state.events(request, "Joined")
    return any(event["provider"] == ctx.keys.address for event in joined)
