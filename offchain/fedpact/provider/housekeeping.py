"""What a daemon does from time to time, and no request waits for."""

import logging
import time
from pathlib import Path

from fedpact.chain.records import Frame
from fedpact.errors import LedgerReplaced, StateDamaged
from fedpact.monitor.resources import MEASURED_FOR
from fedpact.provider.content_upkeep import ProviderContent
from fedpact.provider.context import Context
from fedpact.provider.forgetting import forget_ended
from fedpact.provider.resources import watch_holdings, watch_store

log = logging.getLogger(__name__)

CONTENT_GOOD_FOR = 60.0
"""Seconds between two looks at what the content store still has, and what can be forgotten."""


class Housekeeping:
    """Gives up what is overdue in each cycle, and does the rest when its time has come."""

    def __init__(self, folder: Path, keep_seconds: float, prune: Path | None) -> None:
        """`folder`: of the state, whose disk is watched; `keep_seconds` and `prune`: as
        `ProviderContent` takes them."""
        self._folder = folder
        self._content = ProviderContent(keep_seconds, prune)
        self._measured_until = self._sized_until = self._content_until = self._events_until = 0.0

    def keep(self, ctx: Context, frame: Frame) -> None:
        """What fails is logged, and tried again. Raises StateDamaged, LedgerReplaced."""
        for worker in (ctx.public_work, ctx.private_work, ctx.trials):
            worker.forget(frame.timestamp)
        ctx.fetching.tidy()
        for work in (self._measure, self._forget, self._size, self._look_after):
            try:
                work(ctx, frame)
            except (StateDamaged, LedgerReplaced):
                raise
            except Exception:  # whatever it is, requests and the other work go on
                ctx.metrics.unexpected.inc()
                log.exception("what is done from time to time failed; trying again")

    def _measure(self, ctx: Context, frame: Frame) -> None:
        if time.monotonic() > self._measured_until:
            self._measured_until = time.monotonic() + MEASURED_FOR
            watch_holdings(ctx, frame, [self._folder])

    def _forget(self, ctx: Context, frame: Frame) -> None:
        if time.monotonic() > self._events_until:
            self._events_until = time.monotonic() + CONTENT_GOOD_FOR
            forget_ended(ctx, frame)

    # The store answers beside the cycle: until then it is asked for its answer each time.

    def _size(self, ctx: Context, _: Frame) -> None:
        if time.monotonic() > self._sized_until and watch_store(ctx):
            self._sized_until = time.monotonic() + MEASURED_FOR

    def _look_after(self, ctx: Context, frame: Frame) -> None:
        if time.monotonic() > self._content_until and self._content.look_after(ctx, frame):
            self._content_until = time.monotonic() + CONTENT_GOOD_FOR
