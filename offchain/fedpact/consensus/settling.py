"""Share out a request's money in as many transactions as its list of earnings needs."""

from collections.abc import Sequence

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Receipt
from fedpact.consensus.payout import fold, uncollected
from fedpact.types.requests import Earned, Terms

ENTRIES_PER_CALL = 200
"""Of the list of what the rounds earned; a longer one is taken in by several transactions."""


def settle(
    client: ChainClient,
    keys: AccountKeys,
    request: int,
    terms: Terms,
    entries: Sequence[Earned],
    cursor: bytes | None,
) -> Receipt:
    """Settle a request that is decided; raises Reverted while it is not.

    `entries`: all that the rounds earned; `cursor`: where earlier transactions have come to.
    As the requester's call it also accepts a delivery.
    """
    market, left = client.market, uncollected(entries, cursor)
    while len(left) > ENTRIES_PER_CALL:
        left, last = left[:-ENTRIES_PER_CALL], left[-ENTRIES_PER_CALL:]
        client.send(keys, market.collect(request, terms, fold(left), last))
    accepted = b"".join(keys.for_seat(*market.domain.typed("Accept", request)))
    return client.send(keys, market.settle(request, terms, left, accepted))
