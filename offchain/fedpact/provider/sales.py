"""What the events of the resale market say of a result's sales."""

from dataclasses import dataclass, field
from typing import Any

from fedpact.content.bn254 import Point

EVENTS = (
    *("ResultBought", "PointsTallied", "KeySealed", "SealDisputed"),
    *("PurchaseRefunded", "ResultSold", "ResaleClaimed"),
)
"""Of sales."""


@dataclass
class Sales:
    """What the events say of a result's sales; deadlines in seconds, by buyer."""

    keys: dict[str, Point] = field(default_factory=dict)
    """To which each buyer wants the model's key sealed."""
    waiting: dict[str, int] = field(default_factory=dict)
    """Buyers without a key: until when one may be sealed."""
    sealed: dict[str, int] = field(default_factory=dict)
    """Buyers with one: until when they may dispute it."""
    excluded: set[int] = field(default_factory=set)
    """Pool indices of makers that sealed a wrong key."""
    cursor: bytes | None = None
    """Running hash before the entries that are tallied."""
    earned: int = 0
    """How often the makers' points have earned something: with each final sale, and where an
    excluded maker forfeited what it had not taken."""
    claimed: int = 0
    """The same, when this account last took its share."""


def sales_in(events: list[tuple[str, dict[str, Any]]], account: str) -> Sales:
    """`events`: names and arguments of a request's, as the state keeps them."""
    found = Sales()
    for name, args in events:
        buyer = args.get("buyer", "")
        match name:
            case "ResultBought":
                found.keys[buyer] = Point(args["key"]["x"], args["key"]["y"])
                found.waiting[buyer] = args["deadline"]
            case "PointsTallied":
                found.cursor = bytes.fromhex(args["cursor"].removeprefix("0x"))
            case "KeySealed":
                found.waiting.pop(buyer, None)
                found.sealed[buyer] = args["deadline"]
            case "SealDisputed":
                found.sealed.pop(buyer, None)
                found.waiting[buyer] = args["deadline"]
                found.excluded.add(args["index"])
                found.earned += args["forfeited"] > 0
            case "PurchaseRefunded":
                found.waiting.pop(buyer, None)
            case "ResultSold":
                found.sealed.pop(buyer, None)
                found.earned += 1
            case "ResaleClaimed" if args["maker"] == account:
                found.claimed = found.earned
    return found
