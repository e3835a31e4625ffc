"""One case in one process: what it tells to whom started it."""

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
    """The data are not there."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """`trace` is empty for an error that fedpact raised on purpose."""

    reason: str
    trace: str = ""


Event = Progress | Saved | Finished | Skipped | Failed
Tell = Callable[[Event], None]


def perform(case: Case, resumed: Saved | None, every: float, tell: Tell) -> None:
    """Run the case on one core and tell how it ended."""
    checkpoint = Checkpoint(tell, resumed, every)
    try:
        _use_one_core()
        outcome = runner_of(case.kind)(case, checkpoint)
    except DataMissing as error:
        tell(Skipped(str(error)))
    except FedpactError as error:
        tell(Failed(str(error)))
    except Exception as error:  # noqa: BLE001 - told with its trace; other cases go on
        tell(Failed(f"{type(error).__name__}: {error}", traceback.format_exc()))
    else:
        tell(Finished(outcome, checkpoint.seconds))


def perform_in_process(
    case: Case, resumed: Saved | None, every: float, connection: Connection
) -> None:
    """`perform` at the other end of a pipe; Ctrl-C is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        perform(case, resumed, every, connection.send)
    except BrokenPipeError:
        os._exit(1)  # whoever started this is gone


def _use_one_core() -> None:
    """Cases run side by side: none takes more than its core, whatever library computes."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
