"""What the requester's service tries again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fedpact.errors import ContentSought, FedpactError, Retryable
from fedpact.logs import without_figures
from fedpact.requester.requester import pause_after

log = logging.getLogger(__name__)


class Attempts:
    """Those to do one thing. No error leaves `attempt`: one thing's trouble is not the others'."""

    def __init__(self) -> None:
        self._failures = 0
        self._said = ""
        self._sought = False
        """Whether the last attempt only waits for content."""
        self._next = 0.0
        """Monotonic seconds."""

    @property
    def stage(self) -> str:
        """Where what they are for is, in one word, for metrics."""
        return "unread"

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    @property
    def pause(self) -> float:
        """Seconds until it is due; 0 if it is."""
        return max(0.0, self._next - time.monotonic())

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed, and not for content that is still looked for."""
        return bool(self._failures) and not self._sought

    @property
    def trouble(self) -> str:
        """What the last attempt failed for; empty if it did not."""
        return (self._said or "it failed") if self.failing else ""

    @contextmanager
    def attempt(
        self, what: str, interval: float, unforeseen: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """One attempt; what fails is due again after a pause, which grows from `interval` seconds
        on. An error is told where the last attempt had another one, figures apart, with its trace
        if nobody foresaw it, and then `unforeseen` is called. `what`: says so that it failed."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            self._failures += 1
            self._sought = isinstance(error, ContentSought)
            if not isinstance(error, FedpactError):
                unforeseen()
            self._next = time.monotonic() + pause_after(error, self._failures, interval)
            sought_again = self._sought and self._said
            known = without_figures(str(error)) == without_figures(self._said)
            if not sought_again and not known:
                _tell(what, error)
            if not sought_again:
                self._said = str(error)
        else:
            self._failures, self._said, self._next = 0, "", 0.0


def _tell(what: str, error: Exception) -> None:
    if isinstance(error, ContentSought):
        log.info("waiting: %s", error)
    elif isinstance(error, Retryable):
        log.warning("%s: %s", what, error)
    elif isinstance(error, FedpactError):
        log.error("%s: %s", what, error)
    else:
        log.error("%s", what, exc_info=error)
