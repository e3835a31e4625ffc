"""A line of the list of requests."""

from dataclasses import dataclass

from fedpact.types.currency import Currency
from fedpact.types.requests import Status


@dataclass(frozen=True)
class ListedRequest:
    """One line of the list of requests."""

    request_id: int
    requester: str
    status: Status
    payment: int
    """In the currency's smallest unit."""
    currency: Currency
    round: int
    rounds: int
    """Highest number of rounds."""
