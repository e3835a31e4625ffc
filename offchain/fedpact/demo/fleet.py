"""Many daemons on one machine: processes that a fork server starts, so that what they import is
loaded once and its memory shared. Each has its own account, data, files and log all the same."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

from fedpact.chain import keystore
from fedpact.child import end_with_parent

# The fork server imports this module, and with it what daemons would load later.
from fedpact.exchange import boards  # noqa: F401
from fedpact.logs import log_to_stderr
from fedpact.provider import searching  # noqa: F401
from fedpact.provider.serve import Offer, serve
from fedpact.settings import load

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Of linear algebra for each daemon: they share this machine's cores."""


class Fleet:
    """Starts daemons. The fork server ends with this process, and the daemons with it."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])

    def start(self, config: Path, offer: Offer, log: Path) -> Forked:
        """Serve by a settings file as `fedpact provider serve` does; the output goes to `log`."""
        log.touch(mode=0o600)  # whoever waits for it reads it from now on
        process = self._context.Process(target=_run, args=(config, offer, log))
        with _environment(ONE_THREAD):  # the first start starts the fork server
            process.start()
        return Forked(process)


class Forked:
    """One of them, with what the demo uses of subprocess.Popen."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"daemon {self.pid}", timeout or 0.0)
        return code

    def kill(self) -> None:
        self._process.kill()


def _run(config: Path, offer: Offer, log: Path) -> None:
    """In the new process: become the daemon."""
    end_with_parent()
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(log, os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    gc.freeze()  # a collection would write to, and so copy, what the processes share
    settings = load(config)
    password = keystore.read_password(settings.password_file)
    keys = keystore.unlock(settings.keystore, settings.chosen_account(), password)
    log_to_stderr()
    serve(settings, keys, offer)


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
