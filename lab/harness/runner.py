"""Runs cases on workers; skips finished cases and resumes interrupted ones."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from lab.errors import ExperimentError
from lab.harness.checkpoint import CHECKPOINT_SECONDS, Progress, Saved
from lab.harness.configuration import Case
from lab.harness.results import Result, ResultFolder
from lab.harness.worker import Event, Failed, Finished, Skipped, perform_in_process

PRELOADED = ("torch", "sklearn.metrics", "sklearn.tree", "lab.harness.worker")
"""Slow imports, loaded once for all cases."""


@dataclass(frozen=True)
class Found:
    """The case was finished before this run."""


Observe = Callable[[Case, Event | Found], None]


class Workers(Protocol):
    """Where cases run: processes on this machine or tasks on a cluster."""

    size: int
    """Number of cases that run at the same time."""

    def start(self, case: Case, resumed: Saved | None) -> None: ...

    def next_event(self) -> tuple[Case, Event]:
        """Wait for the next event of a running case; a worker that dies counts as Failed."""

    def stop(self) -> None:
        """Stop all running cases."""


@dataclass
class Summary:
    """How the cases ended; `before` had finished in an earlier run."""

    finished: list[Case] = field(default_factory=list)
    before: list[Case] = field(default_factory=list)
    skipped: list[tuple[Case, str]] = field(default_factory=list)
    failed: list[tuple[Case, Failed]] = field(default_factory=list)


def run(cases: Sequence[Case], folder: ResultFolder, workers: Workers, observe: Observe) -> Summary:
    """Run all cases that have no result yet, holding the locks of their files.

    A failed case does not stop the others. On any exception, including Ctrl-C, running cases are
    stopped; their last saved states stay, and the next run continues from them. Raises
    ExperimentError before any work if a file is corrupt or in use by another run.
    """
    with folder.locked(cases):
        return _run(cases, folder, workers, observe)


def _run(
    cases: Sequence[Case], folder: ResultFolder, workers: Workers, observe: Observe
) -> Summary:
    summary = Summary()
    waiting: deque[tuple[Case, Saved | None]] = deque()
    for case in cases:
        if folder.finished(case):
            summary.before.append(case)
            observe(case, Found())
        else:
            waiting.append((case, folder.resumed(case)))
    running = 0
    try:
        while waiting or running:
            while waiting and running < workers.size:
                workers.start(*waiting.popleft())
                running += 1
            case, event = workers.next_event()
            event = _kept(case, event, folder, summary)
            running -= isinstance(event, Finished | Skipped | Failed)
            observe(case, event)
    finally:
        workers.stop()
    return summary


def _kept(case: Case, event: Event, folder: ResultFolder, summary: Summary) -> Event:
    """Save the event's result or state; a result that cannot be saved becomes a failure."""
    match event:
        case Saved():
            folder.save(case, event)
        case Finished():
            try:
                folder.write(case, Result.of(case, event.outcome, event.seconds))
            except ExperimentError as error:
                return _kept(case, Failed(str(error)), folder, summary)
            summary.finished.append(case)
        case Skipped():
            summary.skipped.append((case, event.reason))
        case Failed():
            summary.failed.append((case, event))
        case Progress():
            pass
    return event


class Processes:
    """One process per case, `size` at a time, forked from a server with PRELOADED imported."""

    def __init__(self, size: int | None = None, every: float = CHECKPOINT_SECONDS) -> None:
        self.size = size or os.cpu_count() or 1
        self._every = every
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PRELOADED))
        self._running: dict[Connection, tuple[Case, BaseProcess]] = {}

    def start(self, case: Case, resumed: Saved | None) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=perform_in_process, args=(case, resumed, self._every, theirs), daemon=True
        )
        process.start()
        theirs.close()
        self._running[ours] = (case, process)

    def next_event(self) -> tuple[Case, Event]:
        ready = wait(list(self._running))[0]
        assert isinstance(ready, Connection)
        case, process = self._running[ready]
        try:
            event: Event = ready.recv()
        except EOFError:
            process.join()
            event = Failed(f"its process ended with code {process.exitcode}")
        if isinstance(event, Finished | Skipped | Failed):
            del self._running[ready]
            ready.close()
            process.join()
        return case, event

    def stop(self) -> None:
        for connection, (_, process) in self._running.items():
            process.terminate()
            process.join()
            connection.close()
        self._running.clear()
