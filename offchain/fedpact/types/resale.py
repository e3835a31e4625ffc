"""Purchases of resold results, as the chain stores them."""

from dataclasses import dataclass
from enum import IntEnum


class PurchaseStatus(IntEnum):
    """In the order of IResaleMarket.Status."""

    NONE = 0
    PENDING = 1
    SEALED = 2
    REFUNDED = 3


@dataclass(frozen=True)
class Purchase:
    """One account's purchase of one result."""

    status: PurchaseStatus
    price: int
    """Wei."""
    deadline: int
    """Last second in which the first key may be sealed."""
