"""Purchases of resold results, as the chain stores them."""

from dataclasses import dataclass
from enum import IntEnum


class SaleStatus(IntEnum):
    """In the order of IResaleMarket.Status."""

    NONE = 0
    PENDING = 1
    SEALED = 2
    SOLD = 3
    REFUNDED = 4


@dataclass(frozen=True)
class Sale:
    """One account's purchase of one result."""

    status: SaleStatus
    deadline: int
    """PENDING: last second in which a key may be sealed; SEALED: for a dispute."""
    sealer: int
    """Pool index of the member that sealed the key."""
    anchor: bytes
    """Hash of the buyer's key, once there is one with the sealed key."""


@dataclass(frozen=True)
class ResaleOffer:
    """What the resale market knows of a result."""

    price: int
    """In the token's smallest unit; 0: not for sale."""
    token: str
    deliver_window: int
    dispute_window: int
    """Seconds."""
    tallied: bool
    """All makers' points are stored."""
    points: int
    """Of all makers, as far as they are stored."""
