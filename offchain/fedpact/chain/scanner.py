"""Events in chain order: each range once, and again after a reorganisation."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fedpact.chain.connection import Connection, FrameGone
from fedpact.chain.log_ranges import QuerySpan
from fedpact.chain.node_errors import Capability, FaultKind, RpcError
from fedpact.chain.records import Event, Frame
from fedpact.errors import NodeUnreachable

log = logging.getLogger(__name__)

CHECKPOINTS = 128
"""Ends of scanned ranges that are kept, to find where a reorganised chain forked."""
SETTLED = 64
"""Blocks below the target from which on the blocks of log entries are not looked up: a chain that
forks deeper than two epochs has lost finality, and the ends of ranges still show it."""


@dataclass(frozen=True)
class Chunk:
    """What one query found.

    Whoever keeps events replaces all of block `first` and later by these, and keeps `end` with them
    in the same transaction. Events of earlier blocks may be among them: known, or late.
    """

    first: int
    events: tuple[Event, ...]
    end: Frame | None
    """The last block read; None if nothing before `first` is known."""


def indexed(value: int | str) -> str:
    """The topic of an indexed number or address, as logs have it."""
    return f"0x{int(value, 16) if isinstance(value, str) else value:064x}"


class EventScanner:
    """Yields the events of a deployment's contracts from `from_block` on.

    A range counts as scanned once its chunk was taken and the next one is asked for: what fails in
    between is read again. If a scanned block is no longer part of the chain, scanning returns to
    the last range end that is, and events repeat: they are hints to look at the chain, never facts
    to count. The last `confirmations` blocks of the chain are not read.

    Every entry is checked against the block that it claims to be in. A node whose index of logs is
    behind its head may answer without the newest ones: with `overlap`, each query begins that many
    blocks earlier, so that they are found with the next block.

    `addresses` and `topics` filter as in eth_getLogs; `ends` are the ends of ranges that were
    scanned before, oldest first.
    """

    def __init__(
        self,
        connection: Connection,
        from_block: int,
        confirmations: int = 0,
        *,
        addresses: Sequence[str] | None = None,
        topics: Sequence[str | None] | None = None,
        ends: Iterable[Frame] = (),
        overlap: int = 0,
    ) -> None:
        deployment = connection.deployment
        self._connection = connection
        self._from_block = from_block
        self._confirmations = confirmations
        self._addresses = list(addresses or deployment.contracts.values())
        self._topics = topics
        self._span = QuerySpan(connection.reach)
        self._ends: deque[Frame] = deque(ends, maxlen=CHECKPOINTS)
        self._overlap = overlap

    @property
    def next_block(self) -> int:
        """First block not yet scanned."""
        return self._ends[-1].block_number + 1 if self._ends else self._from_block

    def scan(self, to_block: Frame | int | None = None) -> Iterator[Event]:
        """The events of `chunks`."""
        for chunk in self.chunks(to_block):
            yield from chunk.events

    def chunks(self, to_block: Frame | int | None = None) -> Iterator[Chunk]:
        """All up to and including `to_block`; None: the latest with enough confirmations.

        Raises FrameGone if `to_block` was replaced meanwhile (take a new one), NodeUnreachable, or
        the node's refusal if it refuses even a single block.
        """
        target = self._target(to_block)
        if target is None or (self._ends and self._ends[-1].block_hash == target.block_hash):
            return
        if self._rewind(target):
            yield Chunk(self.next_block, (), self._ends[-1] if self._ends else None)
        while (first := self.next_block) <= target.block_number:
            last = min(first + self._span.blocks - 1, target.block_number)
            try:
                end, events = self._read(first, last, target)
            except NodeUnreachable as error:
                if last == first or not too_much(error):
                    raise
                self._span.refused(last - first + 1)
                log.info("blocks %d to %d are too many for one query: %s", first, last, error)
                continue
            yield Chunk(first, events, end)
            self._ends.append(end)
            self._span.answered(last - first + 1, len(events))

    def _target(self, to_block: Frame | int | None) -> Frame | None:
        if isinstance(to_block, Frame):
            return to_block
        if to_block is None:
            return self._connection.frame(self._confirmations)
        return self._connection.frame_at(to_block)

    def _rewind(self, target: Frame) -> bool:
        """Drop range ends that are no longer on the chain; whether there were any."""
        dropped = False
        while self._ends:
            end = self._ends[-1]
            if end.block_hash == target.parent_hash:
                break
            if end.block_number == target.block_number:
                found: Frame | None = target
            else:
                found = self._connection.frame_at(end.block_number)
            if found is not None and found.block_hash == end.block_hash:
                break
            self._ends.pop()
            dropped = True
        if dropped:
            log.warning("the chain was reorganised: reading again from block %d", self.next_block)
        return dropped

    def _read(self, first: int, last: int, target: Frame) -> tuple[Frame, tuple[Event, ...]]:
        """The events of a range with those of the overlap before it, and its last block."""
        begin = max(min(self._from_block, first), first - self._overlap)
        query: dict[str, Any] = {
            "fromBlock": hex(begin),
            "toBlock": hex(last),
            "address": self._addresses,
        }
        if self._topics:
            query["topics"] = list(self._topics)
        # In one batch, which one machine answers behind a gateway: it must know the end.
        logs, block = self._connection.rpc.batch(
            [("eth_getLogs", [query]), ("eth_getBlockByNumber", [hex(last), False])]
        )
        for answer in (logs, block):
            if isinstance(answer, RpcError):
                raise answer
        end = None if block is None else self._connection.frame_of(block)
        if end is None or (last == target.block_number and end.block_hash != target.block_hash):
            raise FrameGone(f"block {last} was replaced, or is not known yet, while it was read")
        found = [one for one in asked_for(logs, self._topics) if not one.get("removed")]
        self._check(found, begin, end, target)
        events = [self._connection.decode(entry) for entry in found]
        known = [event for event in events if event is not None]
        return end, tuple(sorted(known, key=lambda event: (event.block, event.log_index)))

    def _check(self, logs: Sequence[dict[str, Any]], begin: int, end: Frame, target: Frame) -> None:
        """Raise FrameGone unless each entry is in a block of this chain."""
        claimed = {int(entry["blockNumber"], 16): str(entry["blockHash"]) for entry in logs}
        for entry in logs:
            if claimed[int(entry["blockNumber"], 16)] != entry["blockHash"]:
                raise FrameGone(f"entries of block {entry['blockNumber']} are of two blocks")
        known = {one.block_number: one.block_hash for one in (*self._ends, end)}
        settled = target.block_number - SETTLED
        unknown = [number for number in claimed if number not in known and number > settled]
        blocks = self._connection.rpc.batch(
            [("eth_getBlockByNumber", [hex(number), False]) for number in unknown]
        )
        for number, block in zip(unknown, blocks, strict=True):
            if isinstance(block, RpcError):
                raise block
            known[number] = "" if block is None else str(block["hash"])
        for number, block_hash in claimed.items():
            if not begin <= number <= end.block_number:
                raise FrameGone(f"the node returned an entry of block {number}, not asked for")
            if known.get(number, block_hash) != block_hash:
                raise FrameGone(f"an entry claims block {number} ({block_hash}), which is another")


def asked_for(
    logs: Iterable[dict[str, Any]], topics: Sequence[str | None] | None
) -> list[dict[str, Any]]:
    """The entries that a filter by topics leaves, whatever the node made of it: EthereumJS 0.10
    looks at the first topic alone."""
    wanted = [(at, topic) for at, topic in enumerate(topics or ()) if topic is not None]
    return [one for one in logs if all(_topic(one, at) == topic for at, topic in wanted)]


def _topic(entry: dict[str, Any], at: int) -> str | None:
    topics = entry["topics"]
    return topics[at] if at < len(topics) else None


def too_much(error: NodeUnreachable) -> bool:
    """Whether a smaller range may be answered."""
    if not isinstance(error, RpcError):
        return True
    return error.fault.capability is Capability.RANGE or error.fault.kind in (
        FaultKind.TRANSIENT,
        FaultKind.UNKNOWN,
        FaultKind.PERMANENT,
    )
