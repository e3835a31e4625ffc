"""A request's end on its requester's side: receive the model, dispute a wrong key, settle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fedpact.chain.bindings.events import (
    Collected,
    Settled,
)
from fedpact.chain.bindings.token import currency_at
from fedpact.chain.keystore import AccountKeys
from fedpact.consensus import settling
from fedpact.content.wrong_key_proof import dispute_context, prove
from fedpact.errors import (
    ContentError,
    ContentSought,
    ContentUnavailable,
    DecryptionError,
    ModelError,
)
from fedpact.requester.actor import Acting
from fedpact.requester.fetching import content_of, delivery_of, opened_key, receiving
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.request_view import RequestLook
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.requests import Status


def accept_or_dispute(acting: Acting, look: RequestLook, secret: int) -> str:
    """Accept or dispute what was delivered; take back what is not due."""
    status, terms = look.stored.status, look.terms
    if status is Status.DELIVERED:
        over = look.now > look.stored.delivered_at + terms.dispute_window
        try:
            found = _received(acting, look, secret)
        except DecryptionError as error:
            if over:
                return _settle(
                    acting, look, f"the key does not open ({error}); too late to dispute"
                )
            return _dispute(acting, look, secret)
        except (ContentError, ContentUnavailable, ModelError) as error:
            if not over or isinstance(error, ContentSought):
                raise
            return _settle(acting, look, f"the model cannot be read ({error})")
        return _settle(acting, look, found)
    if status is Status.DISPUTED:
        return _settle(acting, look, "disputed")
    if status is Status.OPEN:
        ended = look.client.any_rounds.outcome(look.request_id, look.frame)
        if ended.final_rounds == 0:
            return _settle(acting, look, "no round became final")
        if look.now > ended.ended_at + terms.deliver_window:
            return _settle(acting, look, "nobody delivered in time")
    return ""


def _received(acting: Acting, look: RequestLook, secret: int) -> str:
    """Keep the model with its card."""
    opened = opened_key(look, secret, acting.account.address)

    def prepare() -> Callable[[], FetchedModel]:
        found = acting.content.read(look.request_id, "result", content_of(look))
        slices = partial(acting.content.slices, keys=acting.account)
        return receiving(look, found, opened, acting.output, slices)

    acting.content.keep(look.request_id, prepare)
    return f"received the model ({acting.output})"


def _dispute(acting: Acting, look: RequestLook, secret: int) -> str:
    """Show on chain that the delivered key is not the model's."""
    delivery, count = delivery_of(look)
    here = look.client.deployment
    context = dispute_context(here.chain_id, here.market, look.request_id)
    proof = prove(secret, delivery, count, context)
    call = look.client.market.dispute(look.request_id, look.terms, delivery.fields, proof.fields)
    return acting.send(look, call, "the delivered key does not open: disputed")


def _settle(acting: Acting, look: RequestLook, reason: str) -> str:
    settle(acting.account, look)
    return f"{reason}; settled"


@dataclass(frozen=True)
class Refund:
    """What came back to a requester."""

    pay: int
    """In the currency's smallest unit."""
    currency: Currency
    gas: int
    """Wei."""

    @property
    def text(self) -> str:
        if self.currency == ETHER_CURRENCY:
            return self.currency.text(self.pay + self.gas)
        pay = self.currency.text(self.pay)
        return f"{pay} and {ETHER_CURRENCY.text(self.gas)}" if self.gas else pay


def settle(account: AccountKeys, look: RequestLook) -> Refund:
    """Have the market share out the money; returns what came back to the requester.

    As the requester's call it also accepts a delivery. Raises Reverted while it is not decided.
    """
    collected = look.events(Collected)
    cursor = collected[-1].cursor if collected else None
    given = (look.client, account, look.request_id, look.terms, look.entries(), cursor)
    settled = settling.settle(*given).event(Settled.__name__).args
    currency = currency_at(look.client, look.terms.token)
    return Refund(int(settled["refund"]), currency, int(settled["gasRefund"]))
