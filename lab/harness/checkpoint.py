"""A running case's progress, and saved states from which it can resume."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

CHECKPOINT_SECONDS = 15.0
"""Work that an interruption may lose; states of large models take time to write."""


@dataclass(frozen=True)
class Progress:
    """`done` of `total` rounds."""

    done: int
    total: int


@dataclass(frozen=True)
class Saved:
    """A state after `seconds` of work, including the work before an interruption."""

    state: bytes
    seconds: float


class Checkpoint:
    """Passed to a case to report progress and save states; also measures its seconds of work."""

    def __init__(
        self,
        on_event: Callable[[Progress | Saved], None],
        resumed: Saved | None = None,
        every: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._on_event = on_event
        self._resumed = resumed
        self._every = every
        self._started = time.monotonic()
        self._last = -math.inf  # save after the first round: a full disk shows early

    @property
    def state(self) -> bytes | None:
        """The last state of an interrupted run; None for a fresh start."""
        return None if self._resumed is None else self._resumed.state

    @property
    def seconds(self) -> float:
        """Seconds of work on this case, including interrupted runs up to their saved states."""
        before = 0.0 if self._resumed is None else self._resumed.seconds
        return before + time.monotonic() - self._started

    def reached(self, done: int, total: int, state: Callable[[], bytes]) -> None:
        """Call after each round; `state` is called only when a state is due to be saved."""
        self._on_event(Progress(done, total))
        if done < total and time.monotonic() - self._last >= self._every:
            self._on_event(Saved(state(), self.seconds))
            self._last = time.monotonic()
