"""The process that trains for a daemon.

It gets a `Setup`, then questions (`Ask`), and answers each, until nobody has asked for a while. It
ends with the daemon, holds no key of the account, and cannot reach the ledger: charging, sealing
and keeping a release are the daemon's.
"""

import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from fedpact.errors import DeviceUnfit, TrainingFailed
from fedpact.logs import Choice, log_to_stderr
from fedpact.provider.training.work import LocalWork

IDLE_SECONDS = 60.0
"""A worker that nobody asked anything for this long ends, and its memory is free again."""
POLITENESS = 5
"""Steps of nice: votes and transactions of the daemon come first on a busy machine."""


@dataclass(frozen=True)
class Setup:
    """What a worker gets to know first."""

    work: LocalWork
    memory_mb: int
    """2^20 bytes of its own memory."""
    logs: Choice


@dataclass(frozen=True)
class Ask:
    """A call of one of `trainer.Training`'s methods."""

    method: Literal["try_device", "round_seconds", "least_error", "load", "train", "noise_alone"]
    arguments: tuple[Any, ...]
    named: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The answer in place of a result."""

    reason: str
    unfit: bool
    """Whether it is a DeviceUnfit."""


def main(descriptor: int) -> None:
    """`descriptor`: of the socket on which the daemon asks."""
    serve(Connection(descriptor))


def serve(line: Connection) -> None:
    """Answer on the line on which the daemon asks."""
    with line, suppress(EOFError, OSError):
        setup: Setup = line.recv()
        _restrain(setup)
        log_to_stderr(**setup.logs)
        # Only now, within the limits.
        from fedpact.provider.training.trainer import Bench

        bench = Bench(setup.work)
        while line.poll(IDLE_SECONDS):
            ask: Ask = line.recv()
            try:
                answer = getattr(bench, ask.method)(*ask.arguments, **ask.named)
            except (TrainingFailed, DeviceUnfit) as failure:
                answer = Failed(str(failure), isinstance(failure, DeviceUnfit))
            line.send(answer)
            del ask, answer


def _restrain(setup: Setup) -> None:
    most = setup.memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold records
    with suppress(OSError):  # not everywhere allowed
        os.nice(POLITENESS)
        # Where the machine's memory runs out: this one first.
        Path("/proc/self/oom_score_adj").write_text("1000")
