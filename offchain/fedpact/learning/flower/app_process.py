"""The process in which an app runs, seen from inside: the app's code runs in forks of it."""

import ctypes
import json
import os
import pickle
import random
import resource
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedpact.child_process import end_with_parent
from fedpact.learning.artefact import encode
from fedpact.learning.flower.app_host import DONE, FAILED, LENGTH_BYTES
from fedpact.learning.flower.folder import home_in, keep_imported, remove, renew_home
from fedpact.learning.flower.jobs import App, AppFailed, Describe, Evaluate, Job, Train
from fedpact.learning.flower.messages import described, evaluated, trained
from fedpact.learning.flower.serving import stand_in

T = TypeVar("T")
_PR_SET_CHILD_SUBREAPER = 36

MEMORY_MB = 4096
"""Of an app that measures, and each of its forks, in 2^20 bytes: the same for all judges."""


def main(descriptor: int, folder: str) -> None:
    """`descriptor`: of the socket on which jobs come; `folder`: of a `Folder`."""
    # Linux sends it where the parent is killed, which can remove nothing any more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        _serve(descriptor, Path(folder))
    finally:
        remove(Path(folder))


def _serve(descriptor: int, folder: Path) -> None:
    with Connection(descriptor) as line, suppress(EOFError, OSError):
        app: App = line.recv()
        _restrain()
        stand_in()
        try:
            client = _named(app.client, ClientApp)
        except BaseException as error:  # noqa: BLE001 - whatever a stranger's module raises
            line.send_bytes(FAILED + _told(error).encode())
            return
        os.chdir(folder)
        keep_imported(folder)
        kept = _children()
        line.send_bytes(DONE)
        while True:
            seconds: float = line.recv()
            job, answers = _received(line)
            child = os.fork()
            if child == 0:
                line.close()
                _child(app, client, folder, job, answers)
            os.close(job)
            os.close(answers)
            _end(child, seconds)
            _end_orphans(kept)
            renew_home(folder)  # no record stays longer than it must
            line.send_bytes(DONE)


def _received(line: Connection) -> list[int]:
    """Descriptors of a job, which only the fork reads, and of where it writes the answer: what this
    process has held, all later forks could find in their memory."""
    with socket.fromfd(line.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as taken:
        return list(socket.recv_fds(taken, 1, 2)[1])


def _restrain() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold records
    if sys.platform == "linux":  # what an app has started and left becomes a child of this process
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY:  # a training's process has the policy's limit
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MB * 2**20,) * 2)
    with suppress(OSError):
        # Where the machine's memory runs out: before the daemon.
        Path("/proc/self/oom_score_adj").write_text("1000")


def _end(child: int, seconds: float) -> None:
    """End a fork, and what is in its group, once it has ended by itself or the time is over."""
    ended = os.pidfd_open(child)
    try:
        wait([ended], seconds)
    finally:
        os.close(ended)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _children() -> set[int]:
    """Of this process, in all of its threads."""
    found = set[int]()
    for one in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found.update(map(int, one.read_text().split()))
    return found


def _end_orphans(kept: set[int]) -> None:
    """A server that a message's training has started, in a session of its own, would be found by
    the next one's. `kept`: what importing the app has started."""
    while left := _children() - kept:
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(one, 0)


def _child(app: App, client: Any, folder: Path, jobs: int, answers: int) -> None:
    job: Job | None = None
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        end_with_parent(signal.SIGKILL)  # an app may ignore SIGTERM
        os.chdir(home_in(folder))
        with open(jobs, "rb") as file:
            file.seek(0)
            job = pickle.load(file)
        _seed(job.seed)
        found = DONE + _answer(app, client, job)
    except BaseException as error:  # noqa: BLE001 - whatever a stranger's code raises
        # A text may hold a record; that of the ServerApp cannot, since it gets none.
        ours = isinstance(error, AppFailed) or isinstance(job, Describe)
        found = FAILED + (_told(error) if ours else type(error).__name__).encode()
    with suppress(BaseException), open(answers, "wb") as pipe:
        pipe.write(len(found).to_bytes(LENGTH_BYTES, "little") + found)
    os._exit(0)


def _answer(app: App, client: Any, job: Job) -> bytes:
    if isinstance(job, Train):
        return encode(trained(app, client, job))
    if isinstance(job, Evaluate):
        return json.dumps(evaluated(app, client, job)).encode()
    header, model = described(app, _named(job.server, ServerApp))
    return json.dumps(header).encode() + b"\n" + encode(model)


def _named(path: str, kind: type[T]) -> T:
    module, _, name = path.partition(":")
    found = getattr(import_module(module), name)
    if not isinstance(found, kind):
        raise AppFailed(f"{path} is no {kind.__name__}")
    return found


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, AppFailed) else f"{type(error).__name__}: {error}"
