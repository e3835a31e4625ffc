"""The result of a request, sold to others: who bought it, and where the money of the sales is."""

from __future__ import annotations

from fedpact.chain.bindings.events import (
    KeySealed,
    PurchaseRefunded,
    RequestEvent,
    ResaleClaimed,
    ResaleOffered,
    ResultBought,
    ResultSold,
    SealDisputed,
)
from fedpact.dashboard.story import RequestStory
from fedpact.dashboard.units import Wei
from fedpact.dashboard.views.blocks import View
from fedpact.dashboard.views.money import Flow


class SaleRow(View):
    """One purchase."""

    buyer: str
    price: Wei
    state: str
    """waits for a key, key sealed, wrong key shown, sold or refunded."""
    bought_at: int
    transaction: str
    """Of the buyer's payment."""
    last_transaction: str
    """The transaction that led to the state."""


class ResaleView(View):
    """An offer and its sales; `received` = `sent` + `held`."""

    price: Wei
    token: str
    transaction: str
    """Of the offer."""
    sales: tuple[SaleRow, ...]
    received: tuple[Flow, ...]
    sent: tuple[Flow, ...]
    held: tuple[Flow, ...]

    def total(self, token: str) -> int:
        """Of all that came in of a token."""
        return sum(one.amount for one in self.received if one.token == token)


_STATES: dict[type[RequestEvent], str] = {
    KeySealed: "key sealed",
    SealDisputed: "wrong key shown",
    ResultSold: "sold",
    PurchaseRefunded: "refunded",
}


def resale_view(story: RequestStory) -> ResaleView | None:
    """None where the result is not for sale."""
    offered = story.last(ResaleOffered)
    if offered is None:
        return None
    token = offered.token
    sales: list[SaleRow] = []
    received, sent = [], []
    for event in story.events:
        tx = event.at.tx_hash
        if isinstance(event, ResultBought):
            sales.append(
                SaleRow(
                    buyer=event.buyer,
                    price=event.price,
                    state="waits for a key",
                    bought_at=event.at.timestamp or 0,
                    transaction=tx,
                    last_transaction=tx,
                )
            )
            received.append(_flow("price", event.buyer, token, event.price, tx))
        elif isinstance(event, KeySealed | SealDisputed | ResultSold | PurchaseRefunded):
            _advance(sales, event)
            if isinstance(event, PurchaseRefunded):
                sent.append(_flow("price back", event.buyer, token, event.amount, tx))
        elif isinstance(event, ResaleClaimed):
            sent.append(_flow("share of the sales", event.to, token, event.amount, tx))
    rest = sum(one.amount for one in received) - sum(one.amount for one in sent)
    return ResaleView(
        price=offered.price,
        token=token,
        transaction=offered.at.tx_hash,
        sales=tuple(sales),
        received=tuple(received),
        sent=tuple(sent),
        held=(_flow("held by the market of results", "", token, rest, ""),) if rest else (),
    )


def _advance(
    sales: list[SaleRow], event: KeySealed | SealDisputed | ResultSold | PurchaseRefunded
) -> None:
    """Note what became of the buyer's last purchase."""
    for number in reversed(range(len(sales))):
        if sales[number].buyer == event.buyer:
            news = {"state": _STATES[type(event)], "last_transaction": event.at.tx_hash}
            sales[number] = sales[number].model_copy(update=news)
            return


def _flow(what: str, account: str, token: str, amount: int, tx: str) -> Flow:
    return Flow(what=what, account=account, token=token, amount=amount, transaction=tx)
