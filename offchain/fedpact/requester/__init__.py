"""The requester: publish, pay, follow, fetch, answer."""

from fedpact.requester.draft import Draft
from fedpact.requester.follow import RequestProgress
from fedpact.requester.listing import ListedRequest
from fedpact.requester.model import Model
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.offers import Offer

__all__ = [
    "Draft",
    "FetchedModel",
    "ListedRequest",
    "Model",
    "Offer",
    "RequestProgress",
]
