"""Read the chain's events into the daemon's state."""

from collections.abc import Callable
from typing import Any

from fedpact.chain.records import Event, Frame
from fedpact.chain.scanner import EventScanner
from fedpact.provider.backoff import Backoffs
from fedpact.provider.context import Context
from fedpact.provider.ledger.reconciling import Reconciliation
from fedpact.provider.state.checkpoint import request_of

LATE_BLOCKS = 2
"""Blocks whose events are read again with the next block, because nodes index them late."""


class Scanning:
    """Goes on where the state's checkpoint is."""

    def __init__(
        self,
        ctx: Context,
        reconciliation: Reconciliation,
        backoffs: Backoffs,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._ctx, self._reconciliation, self._backoffs = ctx, reconciliation, backoffs
        self._is_stopping = is_stopping
        self._scanner: EventScanner | None = None

    def begin_again(self) -> None:
        """Go on from the state's checkpoint, whatever was read since."""
        self._scanner = None

    def scan(self, frame: Frame) -> None:
        """Store the events up to the frame, each part with the checkpoint behind it."""
        ctx, state = self._ctx, self._ctx.state
        if frame.block_hash == state.block_hash:
            return
        if self._scanner is None:
            start, ends = ctx.deployment.block, state.ends()
            self._scanner = EventScanner(ctx.client, start, ends=ends, overlap=LATE_BLOCKS)
        for chunk in self._scanner.chunks(frame):
            if chunk.first <= state.block:
                ctx.cache.clear()
            events = [(one.block, one.log_index, one.name, _kept(one)) for one in chunk.events]
            block, block_hash = chunk.first - 1, ""
            if chunk.end is not None:
                block, block_hash = chunk.end.block_number, chunk.end.block_hash
            fresh = state.ingest(events, block, block_hash, chunk.first)
            # Those that were read again say nothing new.
            self._reconciliation.saw(one for one in chunk.events if request_of(one.args) in fresh)
            for request in fresh:
                self._backoffs.done(request)
            if self._is_stopping():
                return


def _kept(event: Event) -> dict[str, Any]:
    """What the state keeps of an event: for a round that was posted as a whole also where, since
    its record is in the transaction's calldata alone."""
    return event.args | {"tx": event.tx_hash} if event.name == "RoundPosted" else event.args
