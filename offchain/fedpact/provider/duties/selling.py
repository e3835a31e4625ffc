"""Resale of a finished result: seal its key to buyers, take the share in the sales."""

from functools import partial
from typing import Any

from fedpact.chain.bindings.resale import ResaleMarket
from fedpact.chain.bindings.token import shown_currency
from fedpact.chain.records import Frame
from fedpact.consensus.payout import fold, sums_of, uncollected
from fedpact.consensus.settling import ENTRIES_PER_CALL
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries
from fedpact.provider.context import Context, DutyResult, did, idle
from fedpact.provider.duties.collecting_pay import entries_of
from fedpact.provider.request.reading import request_key, specification_of
from fedpact.provider.request.view import RequestView, is_in_pool
from fedpact.provider.resale_share import share_of
from fedpact.provider.sales import EVENTS, Sales, sales_in
from fedpact.types.resale import ResaleOffer, SaleStatus

LAST_PART = 10
"""In the last tenth of the window nothing is sealed: if a key came into a block too late, its buyer
would have the model (from the mempool) and its money back."""


def on_offer(ctx: Context, request: int) -> bool:
    """Whether a result is for sale, and this account was in the request's pool."""
    if not ctx.state.events(request, "ResaleOffered"):
        return False
    return is_in_pool(ctx.keys.address, partial(ctx.state.events, request))


def resold(ctx: Context, frame: Frame) -> set[int]:
    """Requests on offer in which a buyer may still get a key, or a share may be due."""
    known, version = ctx.cache.on_offer, ctx.state.version(*EVENTS)
    if known is None or known[0] != version:
        known = ctx.cache.on_offer = (version, _all_sales(ctx))
    now, done = frame.timestamp, ctx.cache.sales
    due = {
        request
        for request, one in known[1].items()
        if any(deadline >= now for deadline in one.waiting.values())
        or one.earned + _over(one, now) > max(one.claimed, done.get(request, 0))
    }
    return {one for one in due if one not in ctx.cache.no_share and on_offer(ctx, one)}


def _all_sales(ctx: Context) -> dict[int, Sales]:
    """By request, of those that were sold."""
    grouped: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for name, args in ctx.state.events_named(*EVENTS):
        grouped.setdefault(int(args["request"]), []).append((name, args))
    return {request: sales_in(events, ctx.keys.address) for request, events in grouped.items()}


def _over(sales: Sales, now: int) -> int:
    """How many sales can be made final."""
    return sum(deadline < now for deadline in sales.sealed.values())


def sell_result(view: RequestView) -> DutyResult:
    """Seal the model's key to a buyer when it is this member's turn; take the share in sales."""
    ctx = view.ctx
    if view.own_index is None or ctx.deployment.resale is None:
        return idle("no part in the result")
    offer = ctx.client.resale.offered(view.id, view.frame)
    if not offer.price:
        return idle("not for sale")
    sales = sales_in(ctx.state.events_of(view.id), view.account)
    makers = sorted(
        index
        for index, own in sums_of(entries_of(view)).items()
        if own.points and index not in sales.excluded
    )
    if view.own_index not in makers:
        ctx.cache.no_share.add(view.id)
        return idle("no share in the sales")
    sealed = _seal(view, view.own_index, offer, sales, makers)
    if sealed.acted:
        return sealed
    return _claim(view, view.own_index, offer, sales, sealed.reason)


def _seal(
    view: RequestView, index: int, offer: ResaleOffer, sales: Sales, makers: list[int]
) -> DutyResult:
    """To the first buyer for whom it is this member's turn: turns fill half of the window."""
    ctx, reason = view.ctx, "every buyer has a key"
    resale: ResaleMarket = ctx.client.resale
    agreed = specification_of(view).resale
    for buyer, deadline in sales.waiting.items():
        if resale.purchase(view.id, buyer, view.frame).status is not SaleStatus.PENDING:
            continue
        if agreed is None or (agreed.price, view.terms.token) != (offer.price, offer.token):
            paid = shown_currency(ctx.client, offer.token).text(offer.price)
            reason = f"{buyer} paid {paid}, which is not what I agreed to"
            continue
        turn = makers.index(index) * offer.deliver_window / (2 * len(makers))
        if view.frame.timestamp < deadline - offer.deliver_window + turn:
            reason = f"the members before me seal to {buyer} first"
            continue
        if view.frame.timestamp > deadline - offer.deliver_window / LAST_PART:
            reason = f"too late to seal to {buyer}"
            continue
        if not offer.tallied:
            return _tally(view, sales)
        call = resale.seal(view.id, index, buyer, _cipher(view, sales.keys[buyer]))
        receipt = ctx.client.send(ctx.keys, call)
        return did(f"sealed the model's key to {buyer} ({receipt.gas_used} gas)")
    return idle(reason)


def _tally(view: RequestView, sales: Sales) -> DutyResult:
    """Store the makers' points, from the end of the list of what the rounds earned."""
    ctx, entries = view.ctx, uncollected(entries_of(view), sales.cursor)
    rest, last = entries[:-ENTRIES_PER_CALL], entries[-ENTRIES_PER_CALL:]
    receipt = ctx.client.send(ctx.keys, ctx.client.resale.tally(view.id, fold(rest), last))
    return did(f"stored the makers' points for resale ({receipt.gas_used} gas)")


def _cipher(view: RequestView, key: Point) -> bytes:
    """The model's key, sealed to a buyer: as a delivery, for the buyer's key."""
    rounds, terms = view.facts.final_rounds, view.terms
    here = view.ctx.deployment.fingerprint
    sealed = Deliveries.seal(request_key(view), key, here, view.id, terms.max_rounds)
    return sealed.ciphers[rounds - 1]


def _claim(
    view: RequestView, index: int, offer: ResaleOffer, sales: Sales, reason: str
) -> DutyResult:
    """Make sales final that nobody can dispute any more, and take the share in all of them."""
    ctx, resale = view.ctx, view.ctx.client.resale
    share = share_of(resale, view.id, index, offer, sales.sealed, view.frame)
    if not share.amount:
        # Nothing, or less than the smallest unit: not looked at again before the next sale.
        ctx.cache.sales[view.id] = sales.earned + len(share.buyers)
        return idle(reason)
    receipt = ctx.client.send(ctx.keys, resale.claim(view.id, share.buyers, index, view.account))
    amount = shown_currency(ctx.client, offer.token).text(
        receipt.event("ResaleClaimed").args["amount"]
    )
    return did(f"took {amount} from resales ({receipt.gas_used} gas)")
