"""What a running case tells: how far it is, and a state from which it could go on."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

CHECKPOINT_SECONDS = 15.0
"""What an interruption may cost; states of large models take time to write."""


@dataclass(frozen=True)
class Progress:
    """`done` of `total` rounds."""

    done: int
    total: int


@dataclass(frozen=True)
class Saved:
    """A state after `seconds` of work, those before an interruption included."""

    state: bytes
    seconds: float


class Checkpoint:
    """Handed to a case; also measures its seconds of work."""

    def __init__(
        self,
        tell: Callable[[Progress | Saved], None],
        resumed: Saved | None = None,
        every: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._tell = tell
        self._resumed = resumed
        self._every = every
        self._started = time.monotonic()
        self._last = -math.inf  # the first round's state is kept: a full disk shows early

    @property
    def state(self) -> bytes | None:
        """Where an earlier, interrupted run had got to; None for a fresh start."""
        return None if self._resumed is None else self._resumed.state

    @property
    def seconds(self) -> float:
        """Of work on this case, in this run and the interrupted ones up to their states."""
        before = 0.0 if self._resumed is None else self._resumed.seconds
        return before + time.monotonic() - self._started

    def reached(self, done: int, total: int, state: Callable[[], bytes]) -> None:
        """To be called after each round; `state` is asked for only when it is time to keep one."""
        self._tell(Progress(done, total))
        if done < total and time.monotonic() - self._last >= self._every:
            self._tell(Saved(state(), self.seconds))
            self._last = time.monotonic()
