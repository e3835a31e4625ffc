"""Asks the content store in a thread of its own: a slow store holds up nothing that is live."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from fedpact.closing import Closing
from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, Retryable
from fedpact.types.cid import Cid


@dataclass(frozen=True)
class Wanted:
    """Content to ask for."""

    cid: str
    attempts: int
    """That have failed."""


@dataclass(frozen=True)
class Answer:
    """What became of asking."""

    wanted: Wanted
    body: bytes | None
    problem: str
    """Why there is no body; empty if there is one."""


class Asker(Closing):
    """One batch at a time; the thread alone uses the store."""

    def __init__(self, store: ContentStore, most_bytes: int) -> None:
        """`most_bytes`: of one content."""
        self._store, self._most = store, most_bytes
        self._thread = ThreadPoolExecutor(1, "contents")
        self._closed = threading.Event()
        self._batch: Future[list[Answer]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is under way, or its answers have not been taken."""
        return self._batch is not None

    def ask(self, wanted: Sequence[Wanted]) -> None:
        """In this order, until one cannot be had: each such costs up to the store's time limit."""
        self._batch = self._thread.submit(self._ask, list(wanted))

    def take(self, seconds: float) -> list[Answer]:
        """Answers of the batch, once; empty if they have not come within some seconds."""
        if self._batch is None or wait([self._batch], seconds).not_done:
            return []
        batch, self._batch = self._batch, None
        return batch.result()

    def close(self) -> None:
        """Waits for the content that is being asked for."""
        self._closed.set()
        self._thread.shutdown()

    def _ask(self, wanted: list[Wanted]) -> list[Answer]:
        found = []
        for one in wanted:
            if self._closed.is_set():
                break
            try:
                body = self._store.get(Cid.parse(one.cid), self._most)
                found.append(Answer(one, body, ""))
            except (ContentError, Retryable) as error:
                found.append(Answer(one, None, str(error)))
                break
        return found
