"""`python -m tests.chaos.moved_clock FILE COMMAND…`: fedpact on a machine whose clock is set wrong.

FILE holds the seconds by which the clock is ahead; it is heard within a second. Only what Python
tells as the time of day moves: the monotonic clock does not, as on a machine whose clock is set.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

HEARD_SECONDS = 0.5


def moved(file: Path, right: Callable[[], int]) -> Callable[[], int]:
    """Nanoseconds since 1970 by the wrong clock."""
    read, ahead = float("-inf"), 0

    def wrong() -> int:
        nonlocal read, ahead
        if time.monotonic() > read + HEARD_SECONDS:
            read, ahead = time.monotonic(), int(float(file.read_text()) * 1e9)
        return right() + ahead

    return wrong


if __name__ == "__main__":
    nanoseconds = moved(Path(sys.argv[1]), time.time_ns)
    time.time_ns = nanoseconds
    time.time = lambda: nanoseconds() / 1e9

    from fedpact.cli.main import run

    run(sys.argv[2:])
