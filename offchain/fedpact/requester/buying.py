"""Buy finished results of other requests.

A key that does not open the model is disputed on chain: the purchase then waits for another
member's key, and the price goes back if none comes.
"""

import time
from dataclasses import dataclass

from fedpact.chain.bindings.token import Token, currency_at
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.content.bn254 import public_key
from fedpact.content.wrong_key_proof import prove, sale_context
from fedpact.errors import (
    ContentMissing,
    DecryptionError,
    InvalidInput,
    NotReady,
)
from fedpact.requester.accept_or_dispute import Refund
from fedpact.requester.fetching import opened_key, sale_of
from fedpact.requester.offers import OWN_RESULT, price_differs, took_part
from fedpact.requester.request_view import RequestLook, look
from fedpact.types.requests import ETHER
from fedpact.types.resale import SaleStatus
from fedpact.types.specification import Specification


@dataclass(frozen=True)
class Bought:
    """A purchase whose key is still to be sealed."""

    price: int
    """In the smallest unit of what the request pays in."""
    deadline: int
    """Last second in which a member may seal the key; then the price can be taken back."""


def buy(
    client: ChainClient,
    keys: AccountKeys,
    secret: int,
    request_id: int,
    spec: Specification,
    most: int | None = None,
) -> Bought:
    """Pay the price of a delivered result. `secret`: of the key to which the
    model's key shall be sealed; `most`: in the smallest unit of what the request pays in.

    Raises InvalidInput if it is not for sale, costs more than `most`, if its price differs from
    the one in its specification (no honest member seals for such a price), if the account's own
    organisation requested or made it, or if the account lacks the token.
    """
    offer = client.resale.offered(request_id)
    if not offer.price:
        raise InvalidInput(f"request {request_id}: its result is not for sale")
    refusal = price_differs(spec, offer.price)
    own = client.registry.participant(keys.address).organisation
    requester = client.market.request(request_id).requester
    if took_part(client, own, requester, client.pool.members(request_id)):
        refusal = OWN_RESULT
    if refusal:
        raise InvalidInput(f"request {request_id}: {refusal}")
    currency = currency_at(client, offer.token)
    price = currency.text(offer.price)
    if most is not None and offer.price > most:
        raise InvalidInput(
            f"request {request_id} costs {price}, more than the limit of {currency.text(most)}"
        )
    market = client.resale
    if offer.token != ETHER:
        token = Token(client, offer.token)
        if token.must_allow(keys.address, market.address, offer.price):
            client.send(keys, token.approve(market.address, offer.price))
    value = offer.price if offer.token == ETHER else 0
    client.send(keys, market.buy(request_id, public_key(secret).fields, value))
    deadline = market.purchase(request_id, keys.address).deadline
    return Bought(offer.price, deadline)


def continue_purchase(
    client: ChainClient, keys: AccountKeys, secret: int, request_id: int
) -> tuple[bool, str]:
    """What a purchase asks of its buyer now, done: whether the model's key is there, and what was
    done. A wrong key is disputed while that can be done.

    Raises InvalidInput if the account has bought nothing, NotReady where it was refunded or the
    price waits to be taken back, DecryptionError for a wrong key that was not disputed in time.
    """
    frame = client.frame()
    bought = client.resale.purchase(request_id, keys.address, frame)
    if bought.status is SaleStatus.NONE:
        raise InvalidInput(f"request {request_id}: {keys.address} has not bought its result")
    if bought.status is SaleStatus.REFUNDED:
        raise NotReady(f"request {request_id}: {keys.address} took the price back")
    if bought.status is SaleStatus.PENDING:
        if frame.timestamp > bought.deadline:
            raise NotReady(
                f"request {request_id}: no member sealed its key in time: take the money back "
                f"(`fedpact request refund {request_id}`)"
            )
        return False, ""
    seen = look(client, request_id)
    try:
        opened_key(seen, secret, keys.address)
    except DecryptionError:
        if bought.status is not SaleStatus.SEALED or seen.now > bought.deadline:
            raise
        return False, _dispute(seen, keys, secret)
    except (ContentMissing, NotReady):
        return False, ""  # the node's answers are of two blocks: it has not read all logs yet
    return True, ""


def _dispute(seen: RequestLook, keys: AccountKeys, secret: int) -> str:
    """Show on chain that the key which a member sealed is not the model's."""
    client, request, buyer = seen.client, seen.request_id, keys.address
    sale, delivered, count = sale_of(seen, buyer)
    market = client.resale
    context = sale_context(client.deployment.chain_id, market.address, request, buyer)
    proof = prove(secret, sale, count, context)
    key = public_key(secret).fields
    call = market.dispute(request, buyer, key, sale.cipher, delivered.fields, proof.fields)
    receipt = client.send(keys, call)
    return f"the sealed key does not open: disputed ({receipt.gas_used} gas)"


def await_key(
    client: ChainClient, keys: AccountKeys, secret: int, request_id: int, poll_interval: float
) -> None:
    """Wait until a key that opens the model is sealed to the account; disputes others. Raises as
    `continue_purchase`."""
    while not continue_purchase(client, keys, secret, request_id)[0]:
        time.sleep(poll_interval)


def refund(client: ChainClient, keys: AccountKeys, request_id: int) -> Refund:
    """Take back the price of a purchase whose key did not arrive in time; what came back.

    Raises InvalidInput if the account has bought nothing, NotReady if nothing is due (yet).
    """
    bought = client.resale.purchase(request_id, keys.address)
    if bought.status is SaleStatus.NONE:
        raise InvalidInput(
            f"request {request_id}: {keys.address} neither made the request nor bought its result"
        )
    overdue = client.frame().timestamp > bought.deadline
    if bought.status is not SaleStatus.PENDING or not overdue:
        raise NotReady(f"request {request_id}: no refund is due now")
    client.send(keys, client.resale.refund(request_id))
    offer = client.resale.offered(request_id)
    return Refund(offer.price, currency_at(client, offer.token), 0)
