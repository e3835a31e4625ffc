"""Waiting for another thread or process."""

import time
from collections.abc import Callable

PATIENCE = 240.0
"""Seconds; below pytest's limit for a test, and far above what a busy machine takes."""


def wait_until(holds: Callable[[], object], otherwise: Callable[[], str] | str = "") -> None:
    """Polls until `holds()` is true; fails with `otherwise` after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            reason = otherwise if isinstance(otherwise, str) else otherwise()
            raise AssertionError(reason or f"not true within {PATIENCE:g} s")
        time.sleep(0.02)
