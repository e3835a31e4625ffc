"""Log entries from the latest block back, and the block of a time: for what is near a known time.

On a public chain, a scan from the deployment on reads millions of blocks, at nodes that answer for
ten at once.
"""

import logging
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fedpact.chain.connection import Connection, FrameGone
from fedpact.chain.log_ranges import QuerySpan
from fedpact.chain.records import Event, Frame
from fedpact.chain.scanner import asked_for, too_much
from fedpact.errors import NodeUnreachable

log = logging.getLogger(__name__)

NEAR = 16
"""Blocks: a time's block need not be known more exactly, since one query covers them."""


def logs_backwards(
    connection: Connection,
    newest: int,
    oldest: int,
    *,
    address: str,
    topics: Sequence[str | None],
    queries: float = math.inf,
    stop: threading.Event | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """The log entries from block `newest` down to `oldest`: those of a range of blocks, and then
    those of the range before it; with no more than `queries` queries, and none once `stop` is set.

    They are as the node tells them: hints, which the caller checks against the contract's state.
    Raises NodeUnreachable, also where the node refuses a single block.
    """
    span, last = QuerySpan(connection.reach), newest
    while last >= oldest and queries > 0 and not (stop is not None and stop.is_set()):
        queries -= 1
        first = max(oldest, last - span.blocks + 1)
        query: dict[str, Any] = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "address": address,
            "topics": list(topics),
        }
        try:
            logs = connection.rpc.call("eth_getLogs", query)
        except NodeUnreachable as error:
            if first == last or not too_much(error):
                raise
            span.refused(last - first + 1)
            log.info("blocks %d to %d are too many for one query: %s", first, last, error)
            continue
        yield asked_for(logs, topics)
        span.answered(last - first + 1, len(logs))
        last = first - 1


def events_in(connection: Connection, ranges: Iterable[list[dict[str, Any]]]) -> Iterator[Event]:
    """The events of the deployment's contracts in what `logs_backwards` gives, the last first."""
    for logs in ranges:
        known = [connection.decode(one) for one in logs]
        found = [one for one in known if one is not None]
        yield from sorted(found, key=lambda one: (one.block, one.log_index), reverse=True)


def not_before(connection: Connection, seconds: int, head: Frame) -> int:
    """The number of a block, no later than `head`, after which no block has a time up to `seconds`:
    the last one that has, or at most NEAR blocks after it.

    By headers alone, which every node keeps, at guesses between two known times.
    """
    if head.timestamp <= seconds:
        return head.block_number
    low, high = _frame(connection, min(connection.deployment.block, head.block_number)), head
    step = 0
    while (blocks := high.block_number - low.block_number) > NEAR and low.timestamp <= seconds:
        # Where blocks come evenly, a guess just below and one just above end the search. Where they
        # do not, guesses may creep along one end, so that every third step halves.
        share = (seconds - low.timestamp) / (high.timestamp - low.timestamp)
        aside = (-NEAR // 2 + 1, NEAR // 2 - 1, 0)[step % 3]
        guess = blocks // 2 if step % 3 == 2 else round(share * blocks) + aside
        guess = min(blocks - 1, max(1, guess))
        found = _frame(connection, low.block_number + guess)
        if found.timestamp <= seconds:
            low = found
        else:
            high = found
        step += 1
    return high.block_number


def _frame(connection: Connection, number: int) -> Frame:
    found = connection.frame_at(number)
    if found is None:
        raise FrameGone(f"the node knows no block {number}, below its own head")
    return found
