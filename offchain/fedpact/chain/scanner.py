"""Events in the order of the chain, each range once, and again where blocks were exchanged."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from fedpact.chain.connection import Connection
from fedpact.chain.records import Event, Frame
from fedpact.chain.rpc import RpcError
from fedpact.errors import NodeUnreachable

log = logging.getLogger(__name__)

FIRST_RANGE = 1_000
"""Blocks asked for at once; doubled while the node answers, halved when it does not."""
LONGEST_RANGE = 64_000
CHECKPOINTS = 128
"""How many ends of scanned ranges are kept to find the fork of a reorganised chain."""


class EventScanner:
    """Hands out the events of a deployment's contracts from `from_block` on.

    A range counts as scanned once its last event was taken. Where a scanned block is no longer
    part of the chain, scanning goes back to the last range end that is, and events come again:
    they are hints to look at the chain, never facts to count. `rewound_to` then says from which
    block; None otherwise. `confirmations` blocks are left unread at the chain's end.

    `addresses` and `topics` narrow what is scanned, as eth_getLogs does.
    """

    def __init__(
        self,
        connection: Connection,
        from_block: int,
        confirmations: int = 0,
        *,
        addresses: Sequence[str] | None = None,
        topics: Sequence[str | None] | None = None,
    ) -> None:
        deployment = connection.deployment
        self._connection = connection
        self._from_block = from_block
        self._confirmations = confirmations
        own = (deployment.registry, deployment.market, deployment.rounds, deployment.cache)
        self._addresses = list(addresses or (address for address in own if address is not None))
        self._topics = topics
        self._range = FIRST_RANGE
        self._ends: deque[Frame] = deque(maxlen=CHECKPOINTS)
        self.rewound_to: int | None = None

    @property
    def next_block(self) -> int:
        """First block that is not scanned yet."""
        return self._ends[-1].block_number + 1 if self._ends else self._from_block

    def scan(self, to_block: Frame | int | None = None) -> Iterator[Event]:
        """Events up to and with `to_block`; None: the latest with the confirmations asked for.

        Raises NodeUnreachable, or the node's refusal where it refuses even a single block.
        """
        self.rewound_to = None
        target = self._target(to_block)
        if target is None or (self._ends and self._ends[-1] == target):
            return
        while True:
            self._rewind()
            first = self.next_block
            if first > target.block_number:
                return
            last = min(first + self._range - 1, target.block_number)
            # The hash of the end before the logs: if blocks are exchanged in between, the next
            # scan sees a hash that is gone and reads again, and nothing is missed.
            end = target if last == target.block_number else self._connection.frame_at(last)
            if end is None:
                return
            try:
                logs = self._logs(first, last)
            except (NodeUnreachable, RpcError) as error:
                if last == first:
                    raise
                self._range = max(1, (last - first + 1) // 2)
                log.info("blocks %d to %d are too many at once: %s", first, last, error)
                continue
            yield from logs
            self._ends.append(end)
            self._range = min(2 * self._range, LONGEST_RANGE)

    def _target(self, to_block: Frame | int | None) -> Frame | None:
        if isinstance(to_block, Frame):
            return to_block
        if to_block is None:
            return self._connection.frame(self._confirmations)
        return self._connection.frame_at(to_block)

    def _rewind(self) -> None:
        """Drop the ends of ranges that are no longer on the chain."""
        dropped = False
        while self._ends:
            end = self._ends[-1]
            found = self._connection.frame_at(end.block_number)
            if found is not None and found.block_hash == end.block_hash:
                break
            self._ends.pop()
            dropped = True
        if dropped:
            self.rewound_to = self.next_block
            log.warning("the chain was reorganised: reading again from block %d", self.next_block)

    def _logs(self, first: int, last: int) -> list[Event]:
        query: dict[str, Any] = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "address": self._addresses,
        }
        if self._topics:
            query["topics"] = list(self._topics)
        found = [
            self._connection.decode(entry)
            for entry in self._connection.rpc.call("eth_getLogs", query)
        ]
        events = [event for event in found if event is not None]
        return sorted(events, key=lambda event: (event.block, event.log_index))
