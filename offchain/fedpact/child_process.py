"""A server as a child process, in a process group of its own that is stopped as a whole."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from fedpact.errors import FedpactError

STOP_SECONDS = 10.0
"""Time for a group to end after SIGTERM, before SIGKILL."""
_POLL_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1


class ChildFailed(FedpactError):
    """The process ended before it was ready, or was not ready in time; the message is its last line
    of output."""


class ChildProcess:
    """A running process. Its output is appended to a log file.

    It has a session of its own: Ctrl-C in a terminal reaches the whole foreground group, but a
    server must outlive what still uses it, so its starter stops it. Its standard input stays open
    as long as the process that started it lives.
    """

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path, log_start: int) -> None:
        self.process = process
        self.log_file = log_file
        self._log_start = log_start
        self._stopped = False

    @classmethod
    def start(
        cls, command: Sequence[str], log_file: Path, *, detached: bool = False
    ) -> ChildProcess:
        """Run `command`; unless `detached`, Linux ends it with the process that started it."""
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as output:
            start = output.tell()
            process = (subprocess.Popen if detached else start_with_parent)(
                command,
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log_file, start)

    @property
    def output(self) -> str:
        """What it has written since its start."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait_for(self, pattern: re.Pattern[str], seconds: float) -> re.Match[str]:
        """The first match in its output.

        Raises ChildFailed if it ends without a match, or writes none in time. Whatever stops the
        waiting, an interrupt included, also stops the process.
        """
        try:
            found = self._awaited(pattern, seconds)
        except BaseException:
            self.stop()
            raise
        if found is not None:
            return found
        code = self.process.poll()
        self.stop()
        if code is None:
            raise ChildFailed(f"no answer within {seconds:g} s, see {self.log_file}")
        lines = self.output.strip().splitlines()
        raise ChildFailed(lines[-1] if lines else f"exit status {code}, see {self.log_file}")

    def _awaited(self, pattern: re.Pattern[str], seconds: float) -> re.Match[str] | None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            found = pattern.search(self.output)
            if found or ended:
                return found
            time.sleep(_POLL_SECONDS)
        return None

    def stop(self) -> None:
        """Stop the process and all that it started; harmless if they have ended."""
        if self._stopped:
            return
        self._stopped = True
        end_group(self.process.pid, self.process.poll)
        if self.process.stdin is not None:
            self.process.stdin.close()


def group_runs(group: int) -> bool:
    """Whether any process of the group is left, including one not yet waited for."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_group(group: int, reap: Callable[[], object], seconds: float = STOP_SECONDS) -> None:
    """SIGTERM to the whole group, then SIGKILL to what is left after `seconds`.

    `reap` waits, without blocking, for the group's first process if that is a child of this one.
    Raises FedpactError if the group does not end.
    """
    for request in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, request)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            reap()
            if not group_runs(group):
                return
            time.sleep(_POLL_SECONDS)
    raise FedpactError(f"process group {group} does not end, not even after SIGKILL")


def start_with_parent(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process, with options of Popen, that Linux ends with this one.

    It outlives the thread that calls this.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, preexec_fn=end_with_parent, **options)

    return _starter(os.getpid()).submit(start).result()


@lru_cache(maxsize=1)
def _starter(process_id: int) -> ThreadPoolExecutor:
    """The thread that starts children: Linux signals a child when this thread ends, not when the
    process does.

    It lives as long as this process; the caller's thread may not. A fork has one of its own.
    """
    return ThreadPoolExecutor(1, f"children of {process_id}")


def end_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """`preexec_fn` of a child: Linux sends it `by` when its parent ends, even if that is killed.

    The parent, for Linux, is the thread that starts the child: let one do so that ends last.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
