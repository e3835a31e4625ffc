"""Trainings in processes of their own, which may hang, exhaust memory or be killed."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any, Protocol

from fedpact.child_process import start_with_parent
from fedpact.errors import DeviceUnfit, NotReady, TrainingFailed, TrainingTooLong
from fedpact.logs import chosen
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import SnapshotSource
from fedpact.provider.training.trainer import Loaded, Trainer, Training
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.provider.training.worker_process import Ask, Failed, Setup
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.provider.training.time_trial import Work

STOP_SECONDS = 5.0
"""How long after a process's SIGTERM the daemon's own may take."""


class Process(Protocol):
    """What a worker needs of subprocess.Popen."""

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def kill(self) -> None: ...


def executed(line: Connection) -> Process:
    """A process with an interpreter of its own that answers on the line."""
    end = line.fileno()
    return start_with_parent(
        # Not as a script: its classes would have other names there than here.
        [
            sys.executable,
            "-c",
            f"from fedpact.provider.training.worker_process import main; main({end})",
        ],
        pass_fds=(end,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # Ctrl-C is for the daemon, which ends its workers.
        start_new_session=True,
    )


start_process: Callable[[Connection], Process] = executed
"""How this daemon starts its workers; a demo's daemons have another way (`fedpact.demo.fleet`)."""


class WorkerPool(Trainer):
    """Starts a process when a training asks for one.

    A process serves one request. Between the request's rounds it is kept for a while, so that what
    it has loaded need not be loaded again; at most `max_parallel_training` are kept.
    """

    def __init__(self, work: LocalWork, policy: Policy) -> None:
        self.work = work
        self._policy = policy
        self._lock = threading.Lock()
        self._waiting: dict[str, Worker] = {}
        """By request; the one that has waited longest is first."""
        self._all: set[Worker] = set()
        self._closed = threading.Event()

    @contextmanager
    def training(self, request: str, ends: float) -> Iterator[Training]:
        ends = min(ends, time.monotonic() + self._policy.max_training_seconds)
        found = _ProcessTraining(self, request, ends)
        try:
            yield found
        finally:
            found.leave()

    def go_on_with(self, policy: Policy) -> None:
        with self._lock:
            self._policy = policy
            self._keep_few()

    def forget(self, request: str) -> None:
        with self._lock:
            self._discard(self._waiting.pop(request, None))

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            while self._waiting:
                self._discard(self._waiting.popitem()[1])
            for worker in self._all:  # the threads that ask them discard them
                worker.kill()

    # ------------------------------------------------------------------ for trainings

    def take(self, request: str) -> "Worker":
        """The request's waiting worker, or a new one. Raises NotReady once the pool is closed."""
        with self._lock:
            if self._closed.is_set():
                raise NotReady("the daemon is stopping")
            worker, memory = self._waiting.pop(request, None), self._policy.max_training_memory_mb
            if worker is None or worker.ended or worker.memory_mb != memory:
                self._discard(worker)
                worker = Worker(Setup(self.work, memory, chosen()))
                self._all.add(worker)
            return worker

    def keep(self, request: str, worker: "Worker") -> None:
        """Let a worker wait for the request's next round."""
        with self._lock:
            self._discard(self._waiting.pop(request, None))
            self._waiting[request] = worker
            self._keep_few()

    def end(self, worker: "Worker") -> None:
        """Raises NotReady where it ended because the pool is closed."""
        with self._lock:
            self._discard(worker)
        # Whoever stops a daemon may tell all its processes to end, and this one heard it first.
        if self._closed.wait(STOP_SECONDS if worker.told_to_end else 0.0):
            raise NotReady("the daemon is stopping")

    def _keep_few(self) -> None:
        most = 0 if self._closed.is_set() else self._policy.max_parallel_training
        while len(self._waiting) > most:
            self._discard(self._waiting.pop(next(iter(self._waiting))))

    def _discard(self, worker: "Worker | None") -> None:
        if worker is not None:
            self._all.discard(worker)
            worker.end()


class _ProcessTraining(Training):
    """Starts its worker with the first question, and another one after a failure."""

    def __init__(self, pool: WorkerPool, request: str, ends: float) -> None:
        self._pool, self._request, self._ends = pool, request, ends
        self._worker: Worker | None = None

    def try_device(self, spec: Specification) -> None:
        self._ask(Ask("try_device", (spec,), {}))

    def round_seconds(self, asked: "Work") -> float:
        return float(self._ask(Ask("round_seconds", (asked,), {})))

    def least_error(self, asked: "Work") -> int | None:
        found = self._ask(Ask("least_error", (asked,), {}))
        assert found is None or isinstance(found, int)
        return found

    def load(self, source: SnapshotSource, spec: Specification, *, former: bool) -> Loaded:
        found = self._ask(Ask("load", (source, spec), {"former": former}))
        assert isinstance(found, Loaded)
        return found

    def train(self, task: TrainingTask, units: Collection[bytes] | None, declared: int) -> bytes:
        return bytes(self._ask(Ask("train", (task, units, declared), {})))

    def noise_alone(self, task: TrainingTask, declared: int) -> bytes:
        return bytes(self._ask(Ask("noise_alone", (task, declared), {})))

    def leave(self) -> None:
        if self._worker is not None:
            self._pool.keep(self._request, self._worker)

    def _ask(self, ask: Ask) -> Any:
        seconds = self._ends - time.monotonic()
        if seconds <= 0:
            raise TrainingFailed("there was no time left for it")
        if self._worker is None:
            self._worker = self._pool.take(self._request)
        try:
            return self._worker.ask(ask, seconds)
        except Exception:
            failed, self._worker = self._worker, None
            self._pool.end(failed)
            raise


class Worker:
    """One process; one thread at a time asks it, any may kill it."""

    def __init__(self, setup: Setup) -> None:
        self.memory_mb = setup.memory_mb
        self._line, theirs = Pipe()
        with theirs:
            self._process = start_process(theirs)
        with suppress(OSError):  # it has ended; the first question finds that
            self._line.send(setup)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def told_to_end(self) -> bool:
        return self._process.poll() == -signal.SIGTERM

    def ask(self, ask: Ask, seconds: float) -> Any:
        """The answer; raises TrainingFailed for a failure and for a process that ends,
        TrainingTooLong for one that takes too long, which is killed, and DeviceUnfit."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            self._line.send(ask)
            answer = self._line.recv()
        except (EOFError, OSError):
            ended = self._process.wait()
            if late.is_set():
                why = f"it was killed after {seconds:.0f} seconds, its limit"
                raise TrainingTooLong(why) from None
            raise TrainingFailed(f"its process {_ending(ended)}") from None
        finally:
            timer.cancel()
        if isinstance(answer, Failed):
            raise (DeviceUnfit if answer.unfit else TrainingFailed)(answer.reason)
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """For the thread that asks it, or if none does."""
        self.kill()
        self._line.close()


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL): by the system if its memory ran out"
    return f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
