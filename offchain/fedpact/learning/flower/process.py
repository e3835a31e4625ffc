"""The process in which an app runs, seen from inside: the app's code runs in forks of it."""

import ctypes
import json
import os
import random
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedpact.child import end_with_parent
from fedpact.learning.artefact import encode
from fedpact.learning.flower.folder import home_in, keep_imported, remove, renew_home
from fedpact.learning.flower.host import DONE, FAILED
from fedpact.learning.flower.jobs import App, AppFailed, Describe, Evaluate, Job, Train
from fedpact.learning.flower.messages import described, evaluated, trained
from fedpact.learning.flower.serving import stand_in

T = TypeVar("T")
_PR_SET_CHILD_SUBREAPER = 36

MEMORY_MB = 4096
"""Of an app that measures, and each of its forks, in 2^20 bytes: the same for all judges."""
READ_BYTES = 2**20
LENGTH_BYTES = 8
"""Of an answer's length, before it."""
FRAME_BYTES = 2**16
"""Of an answer besides its values."""
MAX_ANSWER = 2**31
"""Bytes, of an answer whose size nobody knows beforehand."""


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
            job: Job = line.recv()
            try:
                answer = _forked(app, client, job, line, folder)
            finally:
                _end_orphans(kept)
                renew_home(folder)  # no record stays longer than it must
            line.send_bytes(answer)
            del job


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


def _forked(app: App, client: Any, job: Job, line: Connection, folder: Path) -> bytes:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        line.close()
        _child(app, client, job, folder, theirs)
    os.close(theirs)
    try:
        found = _read(ours, time.monotonic() + job.seconds, _most(job))
    finally:
        os.close(ours)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return found or FAILED + b"it ended without an answer, or took too long"


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


def _child(app: App, client: Any, job: Job, folder: Path, answers: int) -> None:
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        end_with_parent(signal.SIGKILL)  # an app may ignore SIGTERM
        os.chdir(home_in(folder))
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


def _most(job: Job) -> int:
    if isinstance(job, Train):
        return FRAME_BYTES + 2 * len(encode(job.model))
    return FRAME_BYTES if isinstance(job, Evaluate) else MAX_ANSWER


def _read(descriptor: int, deadline: float, most: int) -> bytes:
    """The answer that the child writes, whatever else holds its pipe open; empty if it does not in
    time, or if it is longer than `most`."""
    found = bytearray()
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([descriptor], [], [], left)
        part = os.read(descriptor, READ_BYTES) if ready else b""
        found += part
        size = int.from_bytes(found[:LENGTH_BYTES], "little")
        if not part or (len(found) >= LENGTH_BYTES and size > most):
            break
        if len(found) >= LENGTH_BYTES + size:
            return bytes(found[LENGTH_BYTES : LENGTH_BYTES + size])
    return b""


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
