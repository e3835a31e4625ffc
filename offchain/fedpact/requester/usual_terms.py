"""What a chain says about reasonable terms: how fast its blocks come, and what was paid before."""

import math
from statistics import median

from fedpact.chain.client import ChainClient
from fedpact.requester.draft import DEFAULT_WINDOWS
from fedpact.types.requests import ETHER, Status

MEASURED_BLOCKS = 50
"""Of which the time is measured."""
LATEST_REQUESTS = 50
"""Requests that are looked at for what was paid."""
COUNTED = 10
"""Of them, the latest that were paid count."""
BLOCKS = {"join": 50, "start": 5, "submit": 10, "commit": 10, "reveal": 5, "propose": 5}
BLOCKS["deliver"] = 10
"""Blocks within which each stage's transactions are mined, even if some wait for a lower price."""
LEAST = {**DEFAULT_WINDOWS, "join": 120, "submit": 120}
"""Seconds."""
SLOWER = 30
"""So many times as long as here may a provider's training take, on a slow or busy machine."""
SLOWER_PREPARING = 10
"""The same of what takes long and is computed once: all rounds wait as long as the first."""


def block_seconds(client: ChainClient) -> float:
    """Mean time between two of the latest blocks; a second on a chain that has none yet."""
    latest, before = client.frame(), client.frame(MEASURED_BLOCKS)
    blocks = latest.block_number - before.block_number
    return max(1.0, (latest.timestamp - before.timestamp) / blocks) if blocks else 1.0


def windows(
    block: float, shortest: int, training: float, preparing: float = 0.0, judging: float = 0.0
) -> dict[str, int]:
    """A draft's windows in seconds: long enough for a chain's blocks and for a round's training.

    `block`: seconds between blocks; `shortest`: the deployment's least window; `training`: seconds
    of one provider's training in a round on this machine; `preparing`: seconds of what it computes
    once, in its first round; `judging`: the same of a round's evaluation slice.
    """
    longest = {
        "submit": SLOWER * training + SLOWER_PREPARING * preparing,
        "commit": SLOWER_PREPARING * judging,
    }
    least = LEAST | {name: max(LEAST[name], _minutes(one)) for name, one in longest.items()}
    return {
        name: max(seconds, shortest, math.ceil(BLOCKS[name] * block))
        for name, seconds in least.items()
    }


def usual_pay(client: ChainClient) -> int | None:
    """Median pay in wei per provider and round, as policies count it, of the latest requests that
    were paid in ether and had a final round; None where there are none."""
    market, found = client.market, list[int]()
    newest = range(market.request_count(), 0, -1)[:LATEST_REQUESTS]
    for number in market.having(Status.SETTLED, newest):
        if client.any_rounds.outcome(number).final_rounds == 0:
            continue
        terms = market.terms(number)
        if terms.token == ETHER:
            found.append(terms.pay // (terms.max_rounds * terms.cohort))
        if len(found) == COUNTED:
            break
    return int(median(found)) if found else None


def _minutes(seconds: float) -> int:
    """Rounded up to whole minutes."""
    return 60 * math.ceil(seconds / 60)
