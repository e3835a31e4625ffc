"""Finished results of other requests that are for sale, and what speaks against buying one.

An offer shows the evidence for its quality, because a result can be faked: an attacker that
controls the committee and the evaluation set can report any error, for a payment of one wei.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fedpact.chain.bindings.events import RoundFinalised
from fedpact.chain.bindings.token import shown_currency
from fedpact.chain.client import ChainClient
from fedpact.consensus.payout import sums_of
from fedpact.content.store import ContentStore
from fedpact.errors import (
    ContentError,
    InvalidInput,
    Retryable,
)
from fedpact.learning.families import privacy_statement
from fedpact.requester.request_view import RequestLook, look
from fedpact.types.cid import Cid
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.requests import PoolMember, Status, Terms
from fedpact.types.resale import ResaleOffer
from fedpact.types.scores import INVALID
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification
from fedpact.types.terms_match import require_agreement

NEWCOMER = 4_000
"""Reputation of a participant without history, in 1/10,000."""


OWN_RESULT = "your organisation requested it or was in its pool"


@dataclass(frozen=True)
class Offer:
    """A finished result with the wanted query key."""

    request_id: int
    price: int
    """In the smallest unit of `currency`."""
    error: int | None
    """Median error of the global model, in 1/10,000, measured by the members on the first
    requester's evaluation set; None if no slice was opened."""
    examples: int
    """Size of the last round's slice; 0 if the specification is unavailable."""
    rounds: int
    payment: int
    """What the first requester paid into escrow, in the smallest unit of `currency`."""
    points: int
    """Total points; at most 10,000 per round."""
    contributors: int
    organisations: int
    """Number of different organisations among the contributors, by the registrar's numbers."""
    reputation: int
    """Current mean reputation of the contributors, in 1/10,000."""
    age: int
    """Seconds since the rounds ended."""
    epsilon: float | None
    """Epsilon promised to a contributor's records; None: no privacy, or unknown."""
    privacy: str
    """What it is worth, in words: an epsilon alone says nothing."""
    usage_rules: str
    refusal: str
    """Why it is not for sale to this account or under these rules; empty if it is."""
    doubts: tuple[str, ...]
    """Reasons to distrust its stated quality."""
    currency: Currency = ETHER_CURRENCY


def sorted_offers(found: "list[Offer]") -> "list[Offer]":
    """Those for sale first, then those with the fewest doubts, then the lowest error."""
    unmeasured = INVALID
    return sorted(
        found,
        key=lambda one: (
            one.refusal != "",
            len(one.doubts),
            unmeasured if one.error is None else one.error,
            one.price,
        ),
    )


def doubts(
    light: str,
    payment: int,
    error: int | None,
    reputations: list[int],
    price: int,
    currency: Currency,
) -> tuple[str, ...]:
    """Signs that an offer may be faked: cheap to make, or made by providers without reputation.

    `light`: why the payment counts for nothing; `reputations`: of its makers.
    """
    found = {
        light: bool(light),
        f"costs more than the {currency.text(payment)} for which it was made": price > payment,
        "no error was measured": error is None,
        f"made by {len(reputations)} organisations: two can decide alone": len(reputations) < 4,
        "no contributor has a reputation above a newcomer's": max(reputations) <= NEWCOMER,
    }
    return tuple(doubt for doubt, holds in found.items() if holds)


def price_differs(spec: Specification, price: int) -> str:
    """Why no honest member would seal the result at this price; empty if they would."""
    if spec.resale is None:
        return "its specification does not allow resale"
    if spec.resale.price != price:
        return f"its price is {price}, but its specification says {spec.resale.price}"
    return ""


def offers(
    client: ChainClient, store: ContentStore, account: str, query_key: bytes, usage_rules: str = ""
) -> list[Offer]:
    """Results for resale with the query key, best first. `usage_rules`: the wanted ones; any
    if empty."""
    if client.deployment.resale is None:
        return []
    own = client.registry.participant(account).organisation
    numbers = range(1, client.market.request_count() + 1)
    found = []
    for request, offer in client.resale.all_offered(numbers).items():
        if client.market.terms(request).query_key != query_key:
            continue
        seen = look(client, request)
        if seen.stored.status is Status.SETTLED and seen.stored.delivered_at:
            found.append(_offer(seen, store, offer, own, usage_rules))
    return sorted_offers(found)


def _offer(
    seen: RequestLook, store: ContentStore, offer: ResaleOffer, own: int, usage_rules: str
) -> Offer:
    client, terms = seen.client, seen.terms
    members = client.pool.members(seen.request_id, seen.frame)
    makers = [members[index] for index, one in sums_of(seen.entries()).items() if one.points]
    reputations = [client.reputation.reputation(one.account, seen.frame) for one in makers]
    spec, refusal = published(store, terms)
    if spec is not None:
        refusal = price_differs(spec, offer.price)
        if usage_rules and usage_rules != spec.usage_rules:
            refusal = "its usage rules differ from the wanted ones"
    if took_part(client, own, seen.stored.requester, members):
        refusal = OWN_RESULT
    last = seen.events(RoundFinalised)[-1]
    error = None if last.error == INVALID else last.error
    currency = shown_currency(client, terms.token)
    light = ""
    if client.reputation.weight_of(terms.token, terms.pay, seen.frame) == 0:
        light = f"paid {currency.text(terms.pay)}, too little to count in reputations"
    return Offer(
        request_id=seen.request_id,
        price=offer.price,
        error=error,
        examples=spec.evaluation[last.round - 1].examples if spec is not None else 0,
        rounds=seen.facts.final_rounds,
        payment=terms.pay,
        points=sum(one.points for one in sums_of(seen.entries()).values()),
        contributors=len(makers),
        organisations=len({one.organisation for one in makers}),
        reputation=sum(reputations) // len(reputations),
        age=seen.now - client.any_rounds.outcome(seen.request_id, seen.frame).ended_at,
        epsilon=spec.privacy.epsilon if spec is not None else None,
        privacy=privacy_statement(spec) if spec is not None else "unknown",
        usage_rules=spec.usage_rules if spec is not None else "",
        refusal=refusal,
        doubts=doubts(light, terms.pay, error, reputations, offer.price, currency),
        currency=currency,
    )


def took_part(
    client: ChainClient, organisation: int, requester: str, members: Iterable[PoolMember]
) -> bool:
    """Whether an organisation requested a result, or was in the pool that made it."""
    asked = client.registry.participant(requester).organisation
    return organisation in {asked, *(one.organisation for one in members)}


def published(store: ContentStore, terms: Terms) -> tuple[Specification | None, str]:
    """The specification, or why it is unavailable or does not match these terms."""
    cid = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
    try:
        spec = Specification.decode(store.get(cid, SPECIFICATION_MAX_BYTES))
        require_agreement(spec, terms)
    except (ContentError, Retryable, InvalidInput) as error:
        return None, f"its specification is unavailable or differs: {error}"
    return spec, ""
