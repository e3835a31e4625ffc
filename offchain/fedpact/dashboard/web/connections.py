"""A bound on open connections: whoever holds many must not use up the process's files, nor fill
its log with what the operating system refuses."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 400
"""Of viewers, each of whom holds one for live updates."""


def most_connections() -> int:
    """MOST_CONNECTIONS, and at most half of the files that this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_CONNECTIONS, files // 2)


def bounded(most: int) -> type[asyncio.Protocol]:
    """uvicorn's protocol with at most `most` connections: a new one ends the oldest, so that a page
    is served while others hang. A page's live updates connect again by themselves."""
    open_: dict[H11Protocol, None] = {}

    class Bounded(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(open_) >= most:
                oldest = next(iter(open_))
                del open_[oldest]
                oldest.transport.abort()
            open_[self] = None

        def connection_lost(self, exc: Exception | None) -> None:
            open_.pop(self, None)
            super().connection_lost(exc)

    return Bounded
