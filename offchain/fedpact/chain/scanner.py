"""Events in chain order: each range once, and again after a reorganisation."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from fedpact.chain.connection import Connection
from fedpact.chain.faults import RpcError
from fedpact.chain.records import Event, Frame
from fedpact.errors import NodeUnreachable

log = logging.getLogger(__name__)

FIRST_RANGE = 1_000
"""Blocks per query; doubled while the node answers, halved when it does not."""
LONGEST_RANGE = 64_000
CHECKPOINTS = 128
"""Ends of scanned ranges that are kept, to find where a reorganised chain forked."""


class EventScanner:
    """Yields the events of a deployment's contracts from `from_block` on.

    A range counts as scanned once its last event was taken. If a scanned block is no longer part of
    the chain, scanning returns to the last range end that is, and events repeat: they are hints to
    look at the chain, never facts to count. `rewound_to` is then the block scanned from, else None.
    The last `confirmations` blocks of the chain are not read.

    `addresses` and `topics` filter as in eth_getLogs.
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
        own = (deployment.registry, deployment.market, deployment.rounds, deployment.resale)
        self._addresses = list(addresses or (address for address in own if address is not None))
        self._topics = topics
        self._range = FIRST_RANGE
        self._ends: deque[Frame] = deque(maxlen=CHECKPOINTS)
        self.rewound_to: int | None = None

    @property
    def next_block(self) -> int:
        """First block not yet scanned."""
        return self._ends[-1].block_number + 1 if self._ends else self._from_block

    def scan(self, to_block: Frame | int | None = None) -> Iterator[Event]:
        """Events up to and including `to_block`; None: the latest with enough confirmations.

        Raises NodeUnreachable, or the node's refusal if it refuses even a single block.
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
            # Read the end's hash before the logs: if the chain is reorganised in between, the next
            # scan finds that the hash is gone and reads again, so nothing is missed.
            end = target if last == target.block_number else self._connection.frame_at(last)
            if end is None:
                return
            try:
                logs = self._logs(first, last)
            except (NodeUnreachable, RpcError) as error:
                if last == first:
                    raise
                self._range = max(1, (last - first + 1) // 2)
                log.info("blocks %d to %d are too many for one query: %s", first, last, error)
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
        """Drop range ends that are no longer on the chain."""
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
