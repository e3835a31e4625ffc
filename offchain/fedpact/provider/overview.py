"""What chain and state say of a provider's requests, and its pay."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpact.chain.bindings.events import Collected, Credited, Paid, ResaleClaimed
from fedpact.chain.bindings.token import currency_at, shown_currency
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Receipt
from fedpact.consensus.settling import settle
from fedpact.errors import InvalidInput, NotReady
from fedpact.provider.sharing import resale_share
from fedpact.provider.standing import RequestStanding, seen_requests
from fedpact.provider.view import terms_in
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.requests import Phase, Status, StoredRequest, Terms

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


def standing(client: ChainClient, state: Path, address: str) -> list[RequestStanding]:
    """All requests that the daemon has seen, by number; none if it never ran here."""
    found = []
    for request, judged, reason, created in seen_requests(client, state, address):
        stored, facts = client.market.request(request), client.rounds.round_facts(request)
        over = facts.phase in (Phase.NONE, Phase.ENDED)
        terms = terms_in(created)
        stage = (stored.status if over else facts.phase).name.lower()
        due = _due(client, request, stored, terms, address)
        currency = shown_currency(client, terms.token)
        found.append(RequestStanding(request, judged, reason, stage, facts.round, due, currency))
    return found


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
    outcome, now = client.rounds.outcome(request), client.frame().timestamp
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


def _due(
    client: ChainClient, request: int, stored: StoredRequest, terms: Terms, account: str
) -> int:
    """What `claim` could collect now for a request that is settled: its share, what the market
    keeps of it because the account did not take it, and the share in resales."""
    if stored.status is not Status.SETTLED:
        return 0
    index = client.pool.index_of(request, account)
    share = 0 if index is None else client.market.unpaid(request, index)
    kept = client.market.balance_of(account, terms.token)
    credited = sum(
        one.amount
        for one in (client.request_events(request) if kept else ())
        if isinstance(one, Paid) and one.credited
        if (one.account, one.token) == (account, terms.token)
    )
    return share + min(kept, credited) + resale_share(client, request, index, client.frame()).amount
