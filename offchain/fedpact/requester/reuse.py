"""Results that others asked for: found by their query key, judged by what the chain says of them,
bought again.

What an offer rests on is shown beside its quality, since a result can be farmed: a committee of
one's own measures whatever it likes on a set of its own, for a payment of one wei.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, InvalidInput, NotReady, Retryable
from fedpact.types.cid import Cid
from fedpact.types.reuse import Purchase, PurchaseStatus
from fedpact.types.rounds import RequestRecord, Terms, seats_of
from fedpact.types.scores import INVALID
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

if TYPE_CHECKING:
    from fedpact.chain.client import ChainClient
    from fedpact.chain.keystore import AccountKeys

NEWCOMER = 4_000
"""Reputation without history, 1/10,000."""


@dataclass(frozen=True)
class Offer:
    """A finished result with the query key that was asked for."""

    request_id: int
    price: int
    """Wei."""
    error: int | None
    """The median error that the members measured of the global model, 1/10,000, on the evaluation
    set of the requester that asked first; None where it opened none."""
    examples: int
    """Of that set in the last round; 0 where the specification cannot be had."""
    rounds: int
    payment: int
    """Wei that the first requester put up for it."""
    points: int
    """All points given; at most 10,000 a round."""
    contributors: int
    organisations: int
    """Different ones among the contributors, as the registrar numbers them."""
    reputation: int
    """Mean of the contributors' now, 1/10,000."""
    age: int
    """Seconds since the rounds ended."""
    epsilon: float | None
    """That a record of a contributor was promised; None: no privacy, or not known."""
    usage_rules: str
    refusal: str
    """Why it cannot be had by this account or under these rules; empty: it can."""
    doubts: tuple[str, ...]
    """Why its quality may not be what it says."""


def offers(
    client: "ChainClient",
    store: ContentStore,
    account: str,
    query_key: bytes,
    usage_rules: str = "",
) -> list[Offer]:
    """Delivered requests with this query key whose results were put on offer.

    Those that can be had come first, the ones with the least doubts before the others, then by
    error. `usage_rules`: what the buyer wants to be allowed; empty: whatever there is.
    """
    if client.deployment.cache is None:
        return []
    found = []
    own = client.registry.participant(account).organisation
    for request_id, terms in client.market.asked(query_key):
        record = client.market.request(request_id)
        price, _ = client.cache.offered(request_id)
        if not record.delivered or not price:
            continue
        spec, missing = published(store, terms)
        found.append(_offer(client, record, price, spec, missing, own, usage_rules))
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
    """Pay the price of a delivered result; the purchase as the chain keeps it.

    Raises InvalidInput where it is not on offer, dearer than `most`, or on offer at another price
    than its specification promised to those who made it: no honest member seals that.
    """
    price, _ = client.cache.offered(request_id)
    if not price:
        raise InvalidInput(f"request {request_id}: its result is not on offer")
    promised = _mismatch(spec, price)
    if promised:
        raise InvalidInput(f"request {request_id}: {promised}")
    if most is not None and price > most:
        raise InvalidInput(f"request {request_id} costs {price} wei, more than {most}")
    accounts = client.rounds.committee(request_id)
    client.cache.buy(keys, request_id, accounts, price)
    return client.cache.purchase(request_id, keys.address)


def await_key(
    client: "ChainClient", request_id: int, account: str, poll_interval: float = 0.5
) -> None:
    """Until a key is sealed to the account; NotReady once the deadline has passed without one."""
    while True:
        bought = client.cache.purchase(request_id, account)
        if bought.status is PurchaseStatus.SEALED:
            return
        if bought.status is not PurchaseStatus.PENDING:
            raise NotReady(f"request {request_id}: {account} has not bought its result")
        if client.frame().timestamp > bought.deadline:
            raise NotReady(
                f"request {request_id}: no member sealed its key in time: take the price back "
                f"(`fedpact request refund {request_id}`)"
            )
        time.sleep(poll_interval)


def refund(client: "ChainClient", keys: "AccountKeys", request_id: int) -> int:
    """Take back the price of a purchase for which no key came in time; wei.

    Raises InvalidInput where the account has bought nothing, NotReady where nothing is due (yet).
    """
    bought = client.cache.purchase(request_id, keys.address)
    if bought.status is PurchaseStatus.NONE:
        raise InvalidInput(
            f"request {request_id} was neither made nor bought again by {keys.address}"
        )
    overdue = client.frame().timestamp > bought.deadline
    if bought.status is not PurchaseStatus.PENDING or not overdue:
        raise NotReady(f"request {request_id}: nothing to take back now")
    client.cache.refund(keys, request_id)
    return bought.price


def sealed_keys(client: "ChainClient", request_id: int, account: str) -> list[bytes]:
    """Delivery keys that members sealed to a buyer, oldest first.

    Raises InvalidInput where the account has bought nothing.
    """
    if client.cache.purchase(request_id, account).status is PurchaseStatus.NONE:
        raise InvalidInput(f"request {request_id} was neither made nor bought again by {account}")
    return [
        event.args["sealedKey"]
        for event in client.cache.events(request_id)
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
        refusal = _mismatch(spec, price)
        if usage_rules and usage_rules != spec.usage_rules:
            refusal = "its usage rules are others than those asked for"
    if own_organisation in took_part | {record.requester_organisation}:
        refusal = "one's own organisation asked for it or made it"
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
        doubts=_doubts(client, record, error, [person.reputation for person in makers], price),
    )


def _doubts(
    client: "ChainClient",
    record: RequestRecord,
    error: int | None,
    reputations: list[int],
    price: int,
) -> tuple[str, ...]:
    """What makes an offer look farmed: cheap to make, and made by nobody with a name."""
    unit = client.registry.reputation_unit()
    doubts = {
        f"paid {record.payment} wei, below the {unit} from which work counts": record.payment
        < unit,
        f"costs more than the {record.payment} wei for which it was made": price > record.payment,
        "no error was measured": error is None,
        f"made by {len(reputations)} organisations: two decide alone": len(reputations) < 4,
        "no contributor has a name above a newcomer's": max(reputations) <= NEWCOMER,
    }
    return tuple(doubt for doubt, holds in doubts.items() if holds)


def published(store: ContentStore, terms: Terms) -> tuple[Specification | None, str]:
    """The specification, or why it cannot be had or is not the one of these terms."""
    cid = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
    try:
        spec = Specification.decode(store.get(cid, SPECIFICATION_MAX_BYTES))
        stated = spec.terms(cid.digest, Cid.parse(spec.initial_model).digest)
    except (ContentError, Retryable, InvalidInput) as error:
        return None, f"its specification cannot be had: {error}"
    if stated != terms:
        return None, "its terms on chain differ from its specification"
    return spec, ""


def _mismatch(spec: Specification, price: int) -> str:
    """Why no honest member seals the result at this price; empty: they do."""
    if spec.reuse is None:
        return "its specification does not allow reuse"
    if spec.reuse.price != price:
        return f"on offer for {price} wei, its specification says {spec.reuse.price}"
    return ""
