"""What a daemon does from time to time, and no request waits for."""

import logging
import time
from pathlib import Path

from fedpact.chain.records import Frame
from fedpact.content.upkeep import NO_ANSWER
from fedpact.errors import FedpactError, LedgerReplaced, StateDamaged
from fedpact.monitor.resources import MEASURED_FOR
from fedpact.provider.content_upkeep import ProviderContent
from fedpact.provider.context import Context
from fedpact.provider.forgetting import forget_ended
from fedpact.provider.resources import watch_holdings, watch_store

log = logging.getLogger(__name__)

RETRIED_AFTER = 60.0
"""Seconds from a measurement that failed to the next."""
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
        works = {
            "measuring": self._measure,
            "forgetting": self._forget,
            "size": self._size,
            "content": self._look_after,
        }
        for part, work in works.items():
            trouble: str | None
            try:
                trouble = work(ctx, frame)
            except (StateDamaged, LedgerReplaced):
                raise
            except Exception as error:  # whatever it is, requests and the other work go on
                ctx.metrics.unexpected.inc()
                log.exception("housekeeping failed; trying again")
                trouble = type(error).__name__
            if trouble is not None:
                ctx.metrics.pulse.part(part, trouble)

    # Each says what its trouble is; empty: none. None: its time has not come.

    def _measure(self, ctx: Context, frame: Frame) -> str | None:
        if time.monotonic() <= self._measured_until:
            return None
        self._measured_until = time.monotonic() + RETRIED_AFTER
        trouble = watch_holdings(ctx, frame, [self._folder])
        if not trouble:
            self._measured_until = time.monotonic() + MEASURED_FOR
        return trouble

    def _forget(self, ctx: Context, frame: Frame) -> str | None:
        if time.monotonic() <= self._events_until:
            return None
        self._events_until = time.monotonic() + CONTENT_GOOD_FOR
        return forget_ended(ctx, frame)

    # The store answers beside the cycle: until then it is asked for its answer each time.

    def _size(self, ctx: Context, _: Frame) -> str | None:
        if time.monotonic() <= self._sized_until:
            return None
        trouble = watch_store(ctx)
        if trouble is None:
            return NO_ANSWER
        self._sized_until = time.monotonic() + (RETRIED_AFTER if trouble else MEASURED_FOR)
        return trouble

    def _look_after(self, ctx: Context, frame: Frame) -> str | None:
        if time.monotonic() <= self._content_until:
            return None
        try:
            if not self._content.look_after(ctx, frame):
                return NO_ANSWER
        except FedpactError as error:
            self._content_until = time.monotonic() + CONTENT_GOOD_FOR
            log.warning("content upkeep failed: %s", error)
            return str(error)
        self._content_until = time.monotonic() + CONTENT_GOOD_FOR
        return ""
