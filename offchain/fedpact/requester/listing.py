"""What the chain says about requests; needs no account."""

from collections.abc import Iterator
from dataclasses import dataclass

from fedpact.chain.client import ChainClient
from fedpact.content.store import ContentStore
from fedpact.types.cid import Cid
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.rounds import RequestRecord, RequestStatus, RoundState
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification
from fedpact.types.v2 import Status


@dataclass(frozen=True)
class RequestSummary:
    """One line of the list of requests."""

    request_id: int
    requester: str
    status: RequestStatus | Status
    payment: int
    """In the currency's smallest unit."""
    currency: Currency
    round: int
    rounds: int
    """Highest number of rounds."""


def look(client: ChainClient, request_id: int) -> tuple[RequestRecord, RoundState]:
    """A request and its current round; raises UnknownRequest."""
    return client.market.request(request_id), client.rounds.round_state(request_id)


def specification_of(client: ChainClient, store: ContentStore, request_id: int) -> Specification:
    """The request's specification from the store, as the chain fixed it."""
    digest = client.market.terms(request_id).specification
    cid = Cid.of_digest(digest, SPECIFICATION_MAX_BYTES)
    return Specification.decode(store.get(cid, SPECIFICATION_MAX_BYTES))


def requests(client: ChainClient, requester: str | None = None) -> Iterator[RequestSummary]:
    """The requests of one account (or everybody's), oldest first."""
    for request_id in range(1, client.market.request_count() + 1):
        record, state = look(client, request_id)
        if requester is None or record.requester == requester:
            yield RequestSummary(
                request_id,
                record.requester,
                record.status,
                record.payment,
                ETHER_CURRENCY,
                state.round,
                record.max_rounds,
            )
