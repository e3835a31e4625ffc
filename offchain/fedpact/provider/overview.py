"""The requests that a provider has seen, as its daemon judged them and as they are on chain."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpact.chain.bindings.events import Paid
from fedpact.chain.bindings.token import shown_currency
from fedpact.chain.client import ChainClient
from fedpact.provider.files import state_file
from fedpact.provider.request.view import terms_in
from fedpact.provider.resale_share import resale_share
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.types.currency import Currency
from fedpact.types.requests import Phase, Status, StoredRequest, Terms


@dataclass(frozen=True)
class RequestStanding:
    """One request, as this provider's daemon has judged it."""

    request_id: int
    standing: str
    reason: str
    stage: str
    """Where the request is on chain, in one word."""
    round: int
    claimable: int
    """What this account could collect now, in the currency's smallest unit."""
    currency: Currency


def seen_requests(
    client: ChainClient, state: Path, address: str
) -> list[tuple[int, str, str, dict[str, Any]]]:
    """Number, the daemon's decision and its reason, and the event of its creation, of each request
    that the daemon has seen."""
    path = state_file(state, client.deployment, address)
    if not path.exists():
        return []
    seen = ProviderState(path, client.deployment, address)
    try:
        return [
            (request, str(judged), reason, seen.events(request, "RequestCreated")[-1])
            for request, judged, reason in seen.all_requests()
        ]
    finally:
        seen.close()


def standing(client: ChainClient, state: Path, address: str) -> list[RequestStanding]:
    """All requests that the daemon has seen, by number; none if it never ran here."""
    found = []
    for request, judged, reason, created in seen_requests(client, state, address):
        stored, facts = client.market.request(request), client.any_rounds.round_facts(request)
        over = facts.phase in (Phase.NONE, Phase.ENDED)
        terms = terms_in(created)
        stage = (stored.status if over else facts.phase).name.lower()
        due = _due(client, request, stored, terms, address)
        currency = shown_currency(client, terms.token)
        found.append(RequestStanding(request, judged, reason, stage, facts.round, due, currency))
    return found


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
