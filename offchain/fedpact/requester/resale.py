"""Buy finished results of other requests, found by their query key.

An offer shows the evidence for its quality, because a result can be faked: an attacker that
controls the committee and the evaluation set can report any error, for a payment of one wei.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, InvalidInput, NotReady, Retryable
from fedpact.types.cid import Cid
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.resale import Purchase, PurchaseStatus
from fedpact.types.rounds import RequestRecord, Terms, seats_of
from fedpact.types.scores import INVALID
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification
from fedpact.types.v2 import ETHER

if TYPE_CHECKING:
    from fedpact.chain.client import ChainClient
    from fedpact.chain.keystore import AccountKeys

WEI = Currency(ETHER, "wei", 0)
NEWCOMER = 4_000
"""Reputation of a participant without history, in 1/10,000."""


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
    usage_rules: str
    refusal: str
    """Why it is not for sale to this account or under these rules; empty if it is."""
    doubts: tuple[str, ...]
    """Reasons to distrust its stated quality."""
    currency: Currency = ETHER_CURRENCY


def offers(
    client: "ChainClient",
    store: ContentStore,
    account: str,
    query_key: bytes,
    usage_rules: str = "",
) -> list[Offer]:
    """Delivered requests with this query key whose results were offered for resale.

    Results for sale come first, then those with the fewest doubts, then the lowest error.
    `usage_rules`: the rules that the buyer needs; empty: any.
    """
    if client.deployment.resale is None:
        return []
    found = []
    own = client.registry.participant(account).organisation
    for request_id, terms in client.market.asked(query_key):
        record = client.market.request(request_id)
        price, _ = client.resale.offered(request_id)
        if not record.delivered or not price:
            continue
        spec, missing = published(store, terms)
        found.append(_offer(client, record, price, spec, missing, own, usage_rules))
    return sorted_offers(found)


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


def buy(
    client: "ChainClient",
    keys: "AccountKeys",
    request_id: int,
    spec: Specification,
    most: int | None = None,
) -> Purchase:
    """Pay the price of a delivered result; returns the purchase as recorded on chain.

    Raises InvalidInput if it is not for sale, costs more than `most`, or if its price differs from
    the one in its specification: no honest member seals for such a price.
    """
    price, _ = client.resale.offered(request_id)
    if not price:
        raise InvalidInput(f"request {request_id}: its result is not for sale")
    promised = price_differs(spec, price)
    if promised:
        raise InvalidInput(f"request {request_id}: {promised}")
    if most is not None and price > most:
        raise InvalidInput(
            f"request {request_id} costs {price} wei, more than the limit of {most} wei"
        )
    accounts = client.rounds.committee(request_id)
    client.resale.buy(keys, request_id, accounts, price)
    return client.resale.purchase(request_id, keys.address)


def await_key(
    client: "ChainClient", request_id: int, account: str, poll_interval: float = 0.5
) -> None:
    """Wait until a key is sealed to the account; raises NotReady if the deadline passes."""
    while True:
        bought = client.resale.purchase(request_id, account)
        if bought.status is PurchaseStatus.SEALED:
            return
        if bought.status is not PurchaseStatus.PENDING:
            raise NotReady(f"request {request_id}: {account} has not bought its result")
        if client.frame().timestamp > bought.deadline:
            raise NotReady(
                f"request {request_id}: no member sealed its key in time: take the money back "
                f"(`fedpact request refund {request_id}`)"
            )
        time.sleep(poll_interval)


def refund(client: "ChainClient", keys: "AccountKeys", request_id: int) -> int:
    """Take back the price of a purchase whose key did not arrive in time; returns wei.

    Raises InvalidInput if the account has bought nothing, NotReady if nothing is due (yet).
    """
    bought = client.resale.purchase(request_id, keys.address)
    if bought.status is PurchaseStatus.NONE:
        raise InvalidInput(
            f"request {request_id}: {keys.address} neither made the request nor bought its result"
        )
    overdue = client.frame().timestamp > bought.deadline
    if bought.status is not PurchaseStatus.PENDING or not overdue:
        raise NotReady(f"request {request_id}: no refund is due now")
    client.resale.refund(keys, request_id)
    return bought.price


def sealed_keys(client: "ChainClient", request_id: int, account: str) -> list[bytes]:
    """Delivery keys that members sealed to a buyer, oldest first.

    Raises InvalidInput if the account has bought nothing.
    """
    if client.resale.purchase(request_id, account).status is PurchaseStatus.NONE:
        raise InvalidInput(
            f"request {request_id}: {account} neither made the request nor bought its result"
        )
    return [
        event.args["sealedKey"]
        for event in client.resale.events(request_id)
        if event.name == "KeySealed" and event.args["buyer"] == account
    ]


def _offer(
    client: "ChainClient",
    record: RequestRecord,
    price: int,
    spec: Specification | None,
    missing: str,
    own_organisation: int,
    usage_rules: str,
) -> Offer:
    state = client.rounds.round_state(record.request_id)
    points, _ = client.rounds.points(record.request_id)
    members = client.rounds.members(record.request_id)
    people = {m.seat: client.registry.participant(m.account) for m in members}
    makers = [person for seat, person in people.items() if points[seat]]
    took_part = {people[seat].organisation for seat in seats_of(state.ever) if seat in people}
    refusal = missing
    if spec is not None:
        refusal = price_differs(spec, price)
        if usage_rules and usage_rules != spec.usage_rules:
            refusal = "its usage rules differ from the wanted ones"
    if own_organisation in took_part | {record.requester_organisation}:
        refusal = "your organisation requested it or made it"
    error = client.rounds.final_error(record.request_id)
    return Offer(
        request_id=record.request_id,
        price=price,
        error=error,
        examples=spec.evaluation[state.final_rounds - 1].examples if spec is not None else 0,
        rounds=state.final_rounds,
        payment=record.payment,
        points=sum(points),
        contributors=len(makers),
        organisations=len({person.organisation for person in makers}),
        reputation=sum(person.reputation for person in makers) // len(makers),
        age=client.frame().timestamp - state.ended_at,
        epsilon=spec.privacy.epsilon if spec is not None else None,
        usage_rules=spec.usage_rules if spec is not None else "",
        refusal=refusal,
        doubts=doubts(
            _light(client, record.payment),
            record.payment,
            error,
            [person.reputation for person in makers],
            price,
            WEI,
        ),
    )


def _light(client: "ChainClient", payment: int) -> str:
    """Why a payment does not count in reputations; empty if it does."""
    unit = client.registry.reputation_unit()
    return f"paid {payment} wei, below the {unit} from which work counts" if payment < unit else ""


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


def published(store: ContentStore, terms: Terms) -> tuple[Specification | None, str]:
    """The specification, or why it is unavailable or does not match these terms."""
    cid = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
    try:
        spec = Specification.decode(store.get(cid, SPECIFICATION_MAX_BYTES))
        stated = spec.terms(cid.digest, Cid.parse(spec.initial_model).digest)
    except (ContentError, Retryable, InvalidInput) as error:
        return None, f"its specification is unavailable: {error}"
    if stated != terms:
        return None, "its terms on chain differ from its specification"
    return spec, ""


def price_differs(spec: Specification, price: int) -> str:
    """Why no honest member would seal the result at this price; empty if they would."""
    if spec.resale is None:
        return "its specification does not allow resale"
    if spec.resale.price != price:
        return f"its price is {price}, but its specification says {spec.resale.price}"
    return ""
