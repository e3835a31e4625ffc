"""Processes that a test starts: a port for each, and their end, however the test ends (Linux)."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def processes_under(folder: Path) -> list[int]:
    """Ids of the other processes that work in the folder, or whose command line names it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line, works_in = (entry / "cmdline").read_bytes(), (entry / "cwd").readlink()
            named = str(folder).encode() in line or works_in.is_relative_to(folder)
            if named and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


@contextmanager
def none_left_under(folder: Path) -> Iterator[None]:
    """Kills what still runs under the folder at the end of the block, after Ctrl-C too."""
    try:
        yield
    finally:
        for process_id in processes_under(folder):
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
