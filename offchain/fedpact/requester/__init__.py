"""The requester: publish, pay, follow, fetch, answer."""

from fedpact.requester.answer import Answer, Estimate
from fedpact.requester.client import Requester
from fedpact.requester.draft import Draft
from fedpact.requester.fetch import FetchedModel
from fedpact.requester.follow import RequestProgress
from fedpact.requester.listing import RequestSummary
from fedpact.requester.resale import Offer

__all__ = [
    "Answer",
    "Draft",
    "Estimate",
    "FetchedModel",
    "Offer",
    "RequestProgress",
    "RequestSummary",
    "Requester",
]
