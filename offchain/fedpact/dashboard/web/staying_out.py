"""Asks providers' daemons why they stay out of the requests that somebody looks at.

Their addresses were written by strangers, so this is done only where the operator has said so, in a
thread of its own that no page waits for, for few requests at a time, and each daemon is asked
seldom (docs/adr/0061).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from fedpact.chain.client import ChainClient
from fedpact.content.store import ContentStore
from fedpact.requester.declines import Declines

log = logging.getLogger(__name__)

MOST_REQUESTS = 4
"""That are asked about at a time."""
LOOKED_SECONDS = 60.0
"""Seconds for which a request that was looked at is asked about."""
AGAIN_SECONDS = 30.0
"""Between two questions to one daemon about one request."""
MOST_KEPT = 100
"""Requests whose answers are kept."""
PAUSE = 1.0


class StayingOut:
    """Threads may share one; `run` is for one of them."""

    def __init__(self, client: ChainClient, store: ContentStore, *, private: bool) -> None:
        """`private`: whether to ask addresses of this machine and of private networks."""
        self._client, self._store, self._private = client, store, private
        self._lock = threading.Lock()
        self._looked: dict[int, float] = {}
        self._counted: dict[int, dict[str, int]] = {}
        self._open: dict[int, Declines] = {}

    def of(self, request: int) -> dict[str, int]:
        """Providers by their reason, as far as is known; a page shows the request now."""
        with self._lock:
            self._looked[request] = time.monotonic()
            return dict(self._counted.get(request, {}))

    def run(self, stop: threading.Event, tell: Callable[[int], None]) -> None:
        """Ask until stopped; `tell`: of a request whose answers have changed."""
        try:
            while not stop.wait(PAUSE):
                for request in self._due():
                    try:
                        if self._ask(request):
                            tell(request)
                    except Exception:  # What a stranger says ends this for one request at most.
                        log.exception(
                            "request %d: the providers that stay out cannot be read", request
                        )
        finally:
            for one in self._open.values():
                one.close()

    def _due(self) -> list[int]:
        """The requests to ask about: those that are asked about already for as long as somebody
        looks at them, then those looked at last. Else a visitor who opens one page after another
        would have addresses read and daemons asked again at each turn."""
        with self._lock:
            recent = time.monotonic() - LOOKED_SECONDS
            self._looked = {one: at for one, at in self._looked.items() if at > recent}
            latest = sorted(self._looked, key=lambda one: -self._looked[one])
            due = sorted(latest, key=lambda one: one not in self._open)[:MOST_REQUESTS]
        for one in set(self._open) - set(due):
            self._open.pop(one).close()
        return due

    def _ask(self, request: int) -> bool:
        """Whether the answers have changed."""
        if request not in self._open:
            self._open[request] = Declines(
                self._client, self._store, request, private=self._private, again=AGAIN_SECONDS
            )
        self._open[request].look()
        found = self._open[request].counted
        with self._lock:
            # Daemons that were asked before say the same again, a while after the first look.
            if not found or found == self._counted.get(request):
                return False
            self._counted[request] = found
            while len(self._counted) > MOST_KEPT:
                del self._counted[next(iter(self._counted))]
        return True
