"""A finished result of another request that is for sale, and what speaks against buying it.

An offer shows the evidence for its quality, because a result can be faked: an attacker that
controls the committee and the evaluation set can report any error, for a payment of one wei.
"""

from dataclasses import dataclass

from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification

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
