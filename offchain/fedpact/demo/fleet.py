"""Many programs on one machine: processes that a fork server starts, so that what they import is
loaded once and its memory shared. Each has its own id, session, environment, data, files and log.
Daemons' trainings are such processes too.

The fork server imports, and does nothing else: no key, connection, thread or random number from
before the fork is in two processes.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from multiprocessing import connection, forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from fedpact.child_process import end_with_parent
from fedpact.provider.training import worker_pool, worker_process

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Of linear algebra for each daemon: they share this machine's cores."""
PRELOADED = (
    "__main__",  # else each process would load the starting program's module again
    "fedpact.cli.main",
    "fedpact.demo.fleet",
    "fedpact.exchange.gossip",
    "fedpact.provider.profile",
    "fedpact.provider.search_node",
    "fedpact.provider.serve",
    "httpcore",  # which httpx loads with its first client
    "cryptography.hazmat.primitives.ciphers.aead",  # which the first seal loads, as the next
    "cryptography.hazmat.primitives.kdf.hkdf",
)
"""What the fork server imports: the modules that daemons load."""

_lock = threading.Lock()
"""Of multiprocessing's list of processes, which looks at all of them at each start."""
_preloaded = list(PRELOADED)


def preload(*modules: str) -> None:
    """Let the fork server import these as well: what all trainings to come load. Without effect
    once it runs."""
    _preloaded.extend(modules)


class Forked:
    """One of these processes, with what its users need of subprocess.Popen."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        with _lock:
            return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[bytes] | Forked
Start = Callable[[Sequence[str], Path], Process]
"""Starts `python -m` with these arguments; the output is appended to a file."""


def start(arguments: Sequence[str], log: Path) -> Forked:
    """A `Start` by the fork server. It ends with this process, and what it started with it."""
    environment = {**os.environ, **ONE_THREAD}
    log.touch(mode=0o600)  # whoever waits for its output reads it from now on
    # daemon: where it is left over at this process's end, it is ended and not waited for.
    process = _context().Process(target=_run, args=(list(arguments), environment, log), daemon=True)
    with _lock, _environment(ONE_THREAD):  # the first start starts the fork server
        process.start()
    return Forked(process)


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_preloaded)
    return context


def _run(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    """In the new process: become the program."""
    _settle(environment, log)
    worker_pool.start_process = partial(_start_training, environment, log)
    gc.freeze()  # a collection would write to, and so copy, what the processes share
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def _settle(environment: dict[str, str], log: Path) -> None:
    """Take an environment, a session and a log of its own."""
    end_with_parent()  # the fork server
    threading.Thread(target=_end_with_starter, daemon=True).start()
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


def _start_training(environment: dict[str, str], log: Path, line: Connection) -> Forked:
    """In a daemon: start a process that trains for it, from the fork server that it is from."""
    # As multiprocessing documents it; but without this a process that is no starter of the fork
    # server starts another one.
    forkserver._forkserver.ensure_running = _nothing  # type: ignore[method-assign]
    multiprocessing.current_process().daemon = False  # those may start no processes
    process = _context().Process(target=_train, args=(line, environment, log), daemon=True)
    with _lock:
        process.start()
    return Forked(process)


def _nothing() -> None:
    """The fork server runs as long as any process that is from it."""


def _train(line: Connection, environment: dict[str, str], log: Path) -> None:
    """In the new process."""
    _settle(environment, log)
    gc.freeze()
    worker_process.serve(line)


def _end_with_starter() -> None:
    """The fork server does not end with its starter while any process of its own runs."""
    starter = multiprocessing.parent_process()
    assert starter is not None
    starter.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables of this process's environment for a moment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
