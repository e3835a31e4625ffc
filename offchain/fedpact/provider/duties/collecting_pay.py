"""What the rounds earned, and collecting the own part of it."""

from collections.abc import Sequence

from fedpact.chain.bindings.token import shown_currency
from fedpact.consensus.payout import fold, uncollected
from fedpact.errors import ContentMissing
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.finishing import finish
from fedpact.provider.request.view import RequestView, digest_of
from fedpact.types.requests import Earned
from fedpact.types.scores import MAX_SEATS


def entries_of(view: RequestView) -> list[Earned]:
    """What the rounds earned, as the chain knows it."""
    entries = [
        Earned(one["cohort"], one["points"], one["extra"], digest_of(one["digest"]))
        for one in view.events("Credited")
    ]
    if fold(entries) != view.facts.earned:
        raise ContentMissing("not all that the rounds earned has been read yet")
    return entries


def uncollected_entries(view: RequestView) -> Sequence[Earned]:
    """The beginning of the list, up to where it has been taken in."""
    collected = view.events("Collected")
    cursor = digest_of(collected[-1]["cursor"]) if collected else None
    return uncollected(entries_of(view), cursor)


def collect(view: RequestView, index: int) -> DutyResult:
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
