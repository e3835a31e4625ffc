"""How long a daemon waits between two looks at the chain."""

import math
import time

from fedpact.chain.node_errors import RpcError
from fedpact.chain.records import Frame

MOST_SECONDS_A_BLOCK = 15.0
"""A chain that stands still is looked at this often."""
LOOKS_A_BLOCK = 12
"""While a request is open: a duty is noticed within a twelfth of the time between two blocks."""
LONGEST_OPEN_WAIT = 1.0
BLOCKS_IDLE = 1.2
"""Times between two blocks from one look to the next while nothing is open."""
LONGEST_FAILED_WAIT = 15.0
LONGEST_REST = 15.0
"""A new request is noticed within its join window, however long the open ones ask nothing."""
SEND_PATIENCE, SLOW_PATIENCE = 1.0, 0.1
"""Seconds that a duty waits for its transaction, where blocks are fast and where they are slow."""
SLOW_BLOCKS = 3.0
"""Seconds from which on a wait for one transaction is mostly in vain, and costs the others."""
SMOOTHING = 0.3
"""Weight of the newest interval between blocks in the mean."""


class Pace:
    """Polls fast while something is open that may ask for this account, else a little less than
    once a block."""

    def __init__(self, poll_seconds: float) -> None:
        """`poll_seconds`: the shortest wait."""
        self._poll = poll_seconds
        self._block_seconds = 0.0
        self._last: Frame | None = None
        self._busy = True
        self._rest = 0.0
        self._failures = 0
        self._asked: float = 0.0

    def saw(self, frame: Frame) -> None:
        """Learn the time between blocks from the heads."""
        last, self._last = self._last, frame
        if last is None or frame.block_number <= last.block_number:
            return
        seconds = (frame.timestamp - last.timestamp) / (frame.block_number - last.block_number)
        seconds = min(max(0.0, seconds), MOST_SECONDS_A_BLOCK)
        if self._block_seconds:
            seconds = self._block_seconds + SMOOTHING * (seconds - self._block_seconds)
        self._block_seconds = seconds

    @property
    def patience(self) -> float:
        """Seconds that a duty waits for its transaction; then other requests have their turn."""
        return SLOW_PATIENCE if self._block_seconds > SLOW_BLOCKS else SEND_PATIENCE

    def succeeded(self, *, busy: bool) -> None:
        """`busy`: a request is open."""
        self._busy, self._failures, self._asked = busy, 0, 0.0

    def may_rest(self, seconds: float) -> None:
        """Nothing will be asked of this account for so long; until the next call."""
        self._rest = seconds

    def failed(self, error: Exception | None) -> None:
        self._failures += 1
        wait = error.fault.retry_after if isinstance(error, RpcError) else None
        self._asked = time.monotonic() + (wait or 0.0)

    def wait(self) -> float:
        """Seconds."""
        if self._failures:
            doubled = self._poll * float(2 ** min(self._failures, 12))
            return max(min(doubled, LONGEST_FAILED_WAIT), self._asked - time.monotonic())
        if self._busy:
            look = min(self._block_seconds / LOOKS_A_BLOCK, LONGEST_OPEN_WAIT)
            return max(self._poll, look, min(self._rest, LONGEST_REST))
        return max(self._poll, BLOCKS_IDLE * self._block_seconds)

    def for_heads(self) -> float:
        """Seconds from one look to the next, at least, if a new head is pushed meanwhile; infinite
        where a head changes nothing: while nothing is asked of this account, or the chain cannot
        be read."""
        resting = self._busy and self._rest > self._poll
        return math.inf if self._failures or resting else min(self._poll, LONGEST_OPEN_WAIT)
