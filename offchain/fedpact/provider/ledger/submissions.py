"""What an account has submitted in all requests of a deployment, from the chain alone."""

from functools import cache

from fedpact.chain.bindings.events import (
    ModelForced,
    ModelsSubmitted,
    RoundOpened,
    RoundPosted,
    RoundsEnded,
)
from fedpact.chain.client import ChainClient
from fedpact.errors import ContentMissing
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.types.requests import seats_of


def submissions(client: ChainClient, account: str) -> list[tuple[ReleaseId, bytes]]:
    """Each release with the digest of its model. After a void start the same model is submitted
    again, sealed under another key: only the first one counts.

    Raises ContentMissing where the node does not have the transaction that posted a round.
    """
    # Of the contract's state: the deployment's logs may be millions of blocks long.
    joined = client.pool.joined_by(account, client.market.numbers_of(None))
    found: dict[ReleaseId, bytes] = {}
    for request in joined:
        for round_, digest in _of_request(client, request, account):
            found.setdefault(ReleaseId(client.deployment.fingerprint, request, round_), digest)
    return list(found.items())


def _of_request(client: ChainClient, request: int, account: str) -> list[tuple[int, bytes]]:
    @cache  # asked of the node once a cohort
    def own_seat(seed: bytes) -> int | None:
        _, members = client.pool.cohort_of(request, seed)
        accounts = [member.account for member in members]
        return accounts.index(account) if account in accounts else None

    found, seeds = [], dict[int, bytes]()
    if client.deployment.is_large:
        return _forced(client, request, account)
    for event in client.request_events(request, until=RoundsEnded):
        if isinstance(event, RoundOpened):
            seeds[event.round] = event.seed
        elif isinstance(event, ModelsSubmitted | RoundPosted):
            own, seats = own_seat(seeds[event.round]), seats_of(event.mask)
            if own in seats:
                found.append((event.round, _digests(client, event)[seats.index(own)]))
    return found


def _forced(client: ChainClient, request: int, account: str) -> list[tuple[int, bytes]]:
    """Of large rounds the chain has a root alone, and the models that were forced in."""
    index = client.pool.index_of(request, account)
    events = client.request_events(request, until=RoundsEnded)
    return [
        (one.round, one.digest)
        for one in events
        if isinstance(one, ModelForced) and one.index == index
    ]


def _digests(client: ChainClient, event: ModelsSubmitted | RoundPosted) -> tuple[bytes, ...]:
    if isinstance(event, ModelsSubmitted):
        return event.digests
    record = client.rounds.posted_record(event.at.tx_hash, event.record)
    if record is None:
        raise ContentMissing(
            f"transaction {event.at.tx_hash} does not hold the record that it posted"
        )
    return tuple(record.digests)
