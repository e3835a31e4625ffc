"""Have a request pay this account, or others of its pool."""

from collections.abc import Sequence
from dataclasses import dataclass

from fedpact.chain.bindings.events import Collected, Credited, Paid, ResaleClaimed
from fedpact.chain.bindings.token import currency_at
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Receipt
from fedpact.consensus.settling import settle
from fedpact.errors import InvalidInput, NotReady
from fedpact.provider.resale_share import resale_share
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.requests import Status, StoredRequest, Terms

MOST_PER_CALL = 100
"""Members paid by one transaction."""


@dataclass(frozen=True)
class Payment:
    """What an account got."""

    account: str
    currency: Currency
    amount: int
    """In the currency's smallest unit."""
    credited: bool
    """It did not take the money, which waits in the market."""


def claim(
    client: ChainClient, keys: AccountKeys, request: int, others: Sequence[str] = ()
) -> list[Payment]:
    """Have a request pay this account, or `others` of its pool; settles it if that is due.

    For this account, what the market kept because it could not be paid is taken out as well, and
    its share in resales of the result: no other can take that.
    Raises UnknownRequest, InvalidInput for an account that is not in the pool, NotReady if nothing
    is due yet.
    """
    stored, terms = client.market.request(request), client.market.terms(request)
    members = {one.account: index for index, one in enumerate(client.pool.members(request))}
    wanted = list(dict.fromkeys(others or [keys.address]))
    for account in wanted:
        if account not in members:
            raise InvalidInput(f"{account} is not in the pool of request {request}")
    receipts = []
    if stored.status is not Status.SETTLED:
        _require_decided(client, request, stored, terms)
        receipts.append(_settle(client, keys, request, terms))
    due = [members[one] for one in wanted if client.market.unpaid(request, members[one])]
    for first in range(0, len(due), MOST_PER_CALL):
        call = client.market.pay(request, terms, due[first : first + MOST_PER_CALL])
        receipts.append(client.send(keys, call))
    paid = [one for receipt in receipts for one in _paid(client, receipt, wanted)]
    if keys.address in wanted:
        paid += _withdrawn(client, keys, terms)
        paid += _resold(client, keys, request, members[keys.address], terms)
    if not paid:
        raise NotReady(f"request {request}: nothing to claim: all that was due has been paid")
    return paid


def _require_decided(
    client: ChainClient, request: int, stored: StoredRequest, terms: Terms
) -> None:
    """Raise NotReady while it is open who gets the money."""
    outcome, now = client.any_rounds.outcome(request), client.frame().timestamp
    if not outcome.ended:
        raise NotReady(f"request {request}: nothing to claim before its rounds are over")
    if stored.status is Status.DELIVERED:
        until = stored.delivered_at + terms.dispute_window
        if now <= until:
            raise NotReady(
                f"request {request}: nothing to claim yet: the requester may dispute the delivery"
                f" for another {until - now} seconds"
            )
    if stored.status is Status.OPEN and outcome.final_rounds:
        until = outcome.ended_at + terms.deliver_window
        if now <= until:
            raise NotReady(
                f"request {request}: nothing to claim yet: its model has not been delivered,"
                f" which may be done for another {until - now} seconds"
            )


def _settle(client: ChainClient, keys: AccountKeys, request: int, terms: Terms) -> Receipt:
    entries, cursor = [], None
    for event in client.request_events(request):
        if isinstance(event, Credited):
            entries.append(event.entry)
        elif isinstance(event, Collected):
            cursor = event.cursor
    return settle(client, keys, request, terms, entries, cursor)


def _paid(client: ChainClient, receipt: Receipt, accounts: Sequence[str]) -> list[Payment]:
    """Payments to these accounts in a transaction: their pay, and gas that is refunded to them."""
    return [
        Payment(
            event.args["account"],
            currency_at(client, event.args["token"]),
            event.args["amount"],
            event.args["credited"],
        )
        for event in receipt.events
        if event.name == Paid.__name__ and event.args["account"] in accounts
    ]


def _withdrawn(client: ChainClient, keys: AccountKeys, terms: Terms) -> list[Payment]:
    found = []
    for token in dict.fromkeys((terms.token, ETHER_CURRENCY.token)):
        amount = client.market.balance_of(keys.address, token)
        if amount:
            client.send(keys, client.market.withdraw(token, keys.address))
            found.append(Payment(keys.address, currency_at(client, token), amount, False))
    return found


def _resold(
    client: ChainClient, keys: AccountKeys, request: int, index: int, terms: Terms
) -> list[Payment]:
    """The share in resales, taken; sales that nobody can dispute any more become final with it."""
    share = resale_share(client, request, index, client.frame())
    if not share.amount:
        return []
    call = client.resale.claim(request, share.buyers, index, keys.address)
    amount = client.send(keys, call).event(ResaleClaimed.__name__).args["amount"]
    return [Payment(keys.address, currency_at(client, terms.token), amount, False)]
