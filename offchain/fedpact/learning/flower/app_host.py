"""The process in which an app runs, seen from outside.

An app is code of a third party, so it runs in none of fedpact's own processes: not with the
daemon's keys, nor in a worker that holds the records of all groups. Its process imports the app,
computes nothing, and forks for each message, which the fork alone reads; so nothing that the app
keeps in memory (caches, the state of random generators) passes from one message to the next. What
it writes into its home, and where caches and temporary files belong, does not either: they are in a
folder of the process's own, from before the import on, since libraries read there where that is;
each fork finds it as the import left it.
"""

import math
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from functools import lru_cache
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path

from fedpact.child_process import start_with_parent
from fedpact.errors import TrainingFailed, UnknownFamily
from fedpact.learning.artefact import encode
from fedpact.learning.flower.folder import Folder
from fedpact.learning.flower.jobs import App, AppFailed, Evaluate, Job, Train
from fedpact.learning.packages import installed_app, package_of_app
from fedpact.types.local_training import SLACK_SECONDS, START_SECONDS

IDLE_SECONDS = 60.0
"""Seconds after which an app's process is ended."""
MAX_TOLD = 500
"""Characters of what is said of a failure."""
DONE, FAILED = b"\x01", b"\x00"
"""First byte of an answer."""
LENGTH_BYTES = 8
"""Of an answer's length, before it."""
READ_BYTES = 2**20
FRAME_BYTES = 2**16
"""Of an answer besides its values."""
MAX_ANSWER = 2**31
"""Bytes, of an answer whose size nobody knows beforehand."""

_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")
"""Of the environment: nothing that may be a secret."""
_HOMES = ("HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME")
_SET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_MODE": "disabled",
    # The same bits on every machine of a kind, and no threads that a fork would lose.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@lru_cache(maxsize=16)
def host_of(app: App) -> "Host":
    """The app's process, one in each process of fedpact's."""
    return Host(app)


class Host:
    """Starts the process with the first question, and another one where it has ended.

    It ends the process that nobody has asked for a while. The process never does so by itself: a
    question that comes just then would get no answer, as if the app had failed.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._folder: Folder | None = None
        self._used = -math.inf
        """When it answered last (`time.monotonic`)."""
        self._idle: threading.Timer | None = None

    def start(self) -> None:
        """Start the process, unless it runs. Raises TrainingFailed where it cannot be started or
        the app cannot be imported."""
        with self._lock:
            self._started(math.inf)
            self._rest()

    def ask(self, job: Job, by: float = math.inf) -> bytes:
        """The answer, until `by` (`time.monotonic`) at the latest.

        Raises AppFailed for a failure of the app at this message, TrainingFailed as `start`.
        """
        with self._lock:
            try:
                line, answers = self._sent(job, by)
                until = time.monotonic() + _left(by, job.seconds + SLACK_SECONDS)
                answer = _read(answers, until, _most(job))
                if not line.poll(_left(until)):
                    raise AppFailed(f"no answer within {job.seconds:g} s")
                line.recv_bytes()  # that nothing of the message is left
            except (AppFailed, EOFError, OSError) as error:
                self._end()
                raise AppFailed(str(error) or "its process ended") from error
            self._rest()
        return _content(answer)

    def end(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _sent(self, job: Job, by: float) -> tuple[Connection, int]:
        """The line to the process that got the job, and the descriptor with the answer."""
        line = self._started(by)
        try:
            return line, _hand_over(job, line)
        except ConnectionError:  # it had ended, so it has seen nothing
            self._end()
            line = self._started(by)
            return line, _hand_over(job, line)

    def _started(self, by: float) -> Connection:
        if self._process is not None and self._process.poll() is None:
            assert self._line is not None
            return self._line
        self._end()
        self._require_package()
        try:
            self._folder = Folder()
        except OSError as error:
            raise TrainingFailed(f"app {self._app.client}: no folder for it: {error}") from error
        home, folder = str(self._folder.home), str(self._folder.path)
        self._line, theirs = Pipe()
        with theirs:
            end = theirs.fileno()
            call = f"app_process.main({end}, {folder!r})"
            code = f"from fedpact.learning.flower import app_process; {call}"
            kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
            self._process = start_with_parent(
                # What the process of this one can import, the app's can.
                [sys.executable, "-c", f"import sys; sys.path[:] = {_paths()!r}; {code}"],
                pass_fds=(end,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # an app may print records
                start_new_session=True,
                cwd=home,
                env={**kept, **_SET, **dict.fromkeys(_HOMES, home)},
            )
        try:
            self._line.send(self._app)
            seconds = _left(by, START_SECONDS)
            if not self._line.poll(seconds):
                raise TrainingFailed(f"app {self._app.client}: not imported in {seconds:.0f} s")
            answer = self._line.recv_bytes()
        except (EOFError, OSError) as error:
            self._end()
            raise TrainingFailed(f"app {self._app.client}: its process ended") from error
        except TrainingFailed:
            self._end()
            raise
        try:
            _content(answer)
        except AppFailed as failure:
            self._end()
            raise TrainingFailed(f"app {self._app.client}: {failure}") from failure
        return self._line

    def _require_package(self) -> None:
        """A daemon runs for long, and pip may have installed something else meanwhile."""
        asked = self._app.package
        if asked is None:
            return
        try:
            found = installed_app(self._app.client, asked.name)
        except (UnknownFamily, OSError) as error:
            raise TrainingFailed(f"app {self._app.client}: {error}") from error
        if found != asked:
            package_of_app.cache_clear()  # no further request is taken on with these files
            raise TrainingFailed(
                f"app {self._app.client}: the files of {asked.name} {asked.version} have changed "
                f"since: their digest was {asked.digest}, and is {found.digest}; install that again"
            )

    def _rest(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._used = time.monotonic()
        self._idle = threading.Timer(IDLE_SECONDS, self._end_idle)
        self._idle.daemon = True
        self._idle.start()

    def _end_idle(self) -> None:
        with self._lock:  # it may have been asked since
            if time.monotonic() - self._used >= IDLE_SECONDS:
                self._end()

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._folder is not None:
            self._folder.end()
        self._line = self._process = self._folder = None


def _hand_over(job: Job, line: Connection) -> int:
    """Give a job to the app's process; the descriptor from which to read the answer. Raises
    OSError."""
    ours, theirs = os.pipe()
    try:
        # The process passes these on to its fork, and holds no records itself.
        with open(os.memfd_create("job"), "w+b") as file:
            pickle.dump(job, file)
            file.flush()
            line.send(job.seconds)
            with socket.fromfd(line.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as taker:
                socket.send_fds(taker, [b"j"], [file.fileno(), theirs])
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return ours


def _most(job: Job) -> int:
    """Bytes of the longest answer."""
    if isinstance(job, Train):
        return FRAME_BYTES + 2 * len(encode(job.model))
    return FRAME_BYTES if isinstance(job, Evaluate) else MAX_ANSWER


def _read(answers: int, until: float, most: int) -> bytes:
    """What a fork answers, whatever else holds its pipe open. A failure if it does not in time, or
    with more than `most` bytes."""
    found = bytearray()
    try:
        while (left := _left(until)) > 0:
            part = os.read(answers, READ_BYTES) if wait([answers], left) else b""
            found += part
            size = int.from_bytes(found[:LENGTH_BYTES], "little")
            if not part or (len(found) >= LENGTH_BYTES and size > most):
                break
            if len(found) >= LENGTH_BYTES + size:
                return bytes(found[LENGTH_BYTES : LENGTH_BYTES + size])
    finally:
        os.close(answers)
    return FAILED + b"it ended without an answer, or took too long"


def _left(by: float, most: float = math.inf) -> float:
    return max(0.0, min(most, by - time.monotonic()))


def _paths() -> list[str]:
    return [str(Path(one).resolve()) for one in sys.path]


def _content(answer: bytes) -> bytes:
    if answer[:1] != DONE:
        said = answer[1:].decode(errors="replace")[:MAX_TOLD]
        # An app can write there what it likes, such as lines of a log.
        raise AppFailed("".join(one if one.isprintable() else " " for one in said))
    return answer[1:]
