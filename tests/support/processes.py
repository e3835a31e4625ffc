"""Processes that a test starts: a port for each, and their end, however the test ends (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fedpact.child_process import start_with_parent
from fedpact.demo.fleet import ONE_THREAD


def executed(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """A `fleet.Start` that gives each process an interpreter of its own, as users do, and so its
    own order of sets and its own memory."""
    with log.open("ab") as output:
        return start_with_parent(
            [sys.executable, "-m", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,
        )


def processes_under(folder: Path) -> list[int]:
    """Ids of the other processes that work in the folder, write their output there, or whose
    command line names it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line, works_in = (entry / "cmdline").read_bytes(), (entry / "cwd").readlink()
            paths = (works_in, (entry / "fd/1").readlink())
            named = str(folder).encode() in line or any(p.is_relative_to(folder) for p in paths)
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
