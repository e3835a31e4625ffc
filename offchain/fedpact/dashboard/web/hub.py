"""Tells those that look at pages what has changed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

from fedpact.dashboard.index.follow import Change

QUEUED = 32
"""Changes that a slow reader may be behind; then it is told to look at everything."""
KEEPALIVE_SECONDS = 15.0


class Hub:
    """Hands changes from the thread that follows the chain to readers in the event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[Change | None]] = set()
        self.version = 0
        """Grows with each change."""
        self.last: Change | None = None
        self._telling = threading.RLock()
        """`changed` repeats the last block: nothing newer may be told meanwhile."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called once the server's loop runs."""
        self._loop = loop

    def detach(self) -> None:
        """The server stops: end all streams."""
        self._loop = None
        for queue in self._queues:
            _offer(queue, None)

    @property
    def readers(self) -> int:
        return len(self._queues)

    def tell(self, change: Change) -> None:
        """From any thread."""
        with self._telling:
            self.last = change
            if change.requests or change.others:
                self.version += 1
            loop = self._loop
            if loop is not None:
                with suppress(RuntimeError):  # the loop has just been closed
                    loop.call_soon_threadsafe(self._spread, change)

    def changed(self, request: int) -> None:
        """Something else than the chain has told more of a request. From any thread."""
        with self._telling:
            last = self.last
            if last is not None:
                self.tell(Change(last.block, last.time, frozenset({request}), behind=last.behind))

    async def stream(self) -> AsyncIterator[str]:
        """Server-sent events: one `change` each, comments in between."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue(QUEUED)
        self._queues.add(queue)
        try:
            yield "retry: 2000\n\n"
            if self.last is not None:
                now = replace(self.last, requests=frozenset(), accounts=frozenset(), others=False)
                yield _event(now, self.version)
            while True:
                try:
                    change = await asyncio.wait_for(queue.get(), KEEPALIVE_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if change is None:
                    return
                yield _event(change)
        finally:
            self._queues.discard(queue)

    def _spread(self, change: Change) -> None:
        for queue in self._queues:
            _offer(queue, change)


def _offer(queue: asyncio.Queue[Change | None], change: Change | None) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        if change is not None:
            change = replace(change, others=True)
    queue.put_nowait(change)


def _event(change: Change, version: int | None = None) -> str:
    """`version`: at the beginning of a stream, so that a page that is older is read again."""
    body = {
        "block": change.block,
        "time": change.time,
        "requests": sorted(change.requests),
        "accounts": sorted(change.accounts),
        "others": change.others,
        "behind": change.behind,
        **({} if version is None else {"version": version}),
    }
    return f"event: change\ndata: {json.dumps(body)}\n\n"
