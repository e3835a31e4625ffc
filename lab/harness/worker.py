"""Runs one case in one process and reports to the process that started it."""

import os
import signal
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from fedpact.errors import DataMissing, FedpactError
from lab.harness.checkpoint import Checkpoint, Progress, Saved
from lab.harness.configuration import Case
from lab.harness.kinds import runner_of


@dataclass(frozen=True)
class Finished:
    outcome: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class Skipped:
    """The case's data are missing."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """`trace` is empty for an error raised on purpose (FedpactError)."""

    reason: str
    trace: str = ""


Event = Progress | Saved | Finished | Skipped | Failed
OnEvent = Callable[[Event], None]


def perform(case: Case, resumed: Saved | None, every: float, on_event: OnEvent) -> None:
    """Run the case on one core and report how it ended."""
    checkpoint = Checkpoint(on_event, resumed, every)
    try:
        _use_one_core()
        outcome = runner_of(case.kind)(case, checkpoint)
    except DataMissing as error:
        on_event(Skipped(str(error)))
    except FedpactError as error:
        on_event(Failed(str(error)))
    except Exception as error:  # noqa: BLE001 - reported with its trace; other cases continue
        on_event(Failed(f"{type(error).__name__}: {error}", traceback.format_exc()))
    else:
        on_event(Finished(outcome, checkpoint.seconds))


def perform_in_process(
    case: Case, resumed: Saved | None, every: float, connection: Connection
) -> None:
    """`perform`, reporting through a pipe; the parent handles Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        perform(case, resumed, every, connection.send)
    except BrokenPipeError:
        os._exit(1)  # the parent process is gone


def _use_one_core() -> None:
    """Limit every library to one thread, as cases run side by side."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
