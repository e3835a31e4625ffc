"""What a maker of a result may take of its sales."""

from collections.abc import Iterable
from dataclasses import dataclass

from fedpact.chain.bindings.events import KeySealed
from fedpact.chain.bindings.resale import ResaleMarket
from fedpact.chain.client import ChainClient
from fedpact.chain.records import Frame
from fedpact.types.resale import ResaleOffer, SaleStatus


@dataclass(frozen=True)
class Share:
    """A maker's part of what is earned and not taken yet."""

    amount: int
    """In the smallest unit of what the request pays in."""
    buyers: tuple[str, ...]
    """Whose purchases become final with the claim."""


def share_of(
    market: ResaleMarket,
    request: int,
    index: int,
    offer: ResaleOffer,
    sealed_to: Iterable[str],
    frame: Frame,
) -> Share:
    """`index`: the maker's, in the pool; `sealed_to`: buyers that may have a key by now."""
    over = []
    for buyer in sealed_to:
        bought = market.purchase(request, buyer, frame)
        if bought.status is SaleStatus.SEALED and bought.deadline < frame.timestamp:
            over.append(buyer)
    due = market.claimable(request, index, frame)
    if over and offer.points:
        points = market.points_of(request, index, frame)
        due += len(over) * offer.price * points // offer.points
    return Share(due, tuple(over))


def resale_share(client: ChainClient, request: int, index: int | None, frame: Frame) -> Share:
    """As `share_of`, from the chain alone; nothing where the account is no member (`index` None),
    or nothing was offered."""
    if index is not None and client.deployment.resale is not None:
        offer = client.resale.offered(request, frame)
        if offer.points:
            sealed_to = dict.fromkeys(
                one.buyer for one in client.request_events(request) if isinstance(one, KeySealed)
            )
            return share_of(client.resale, request, index, offer, sealed_to, frame)
    return Share(0, ())
