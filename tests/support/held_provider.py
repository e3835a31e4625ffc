"""A provider whose trainings hang, exhaust memory or are killed, as a request's title says.

`python -m tests.support.held_provider FOLDER --config FILE --data FILE --policy FILE`
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from fedpact.logs import log_to_stderr
from fedpact.provider.training.work import LocalWork, TrainingTask

HELD, SLOW, HANGS, GREEDY, KILLED, RAISES = "held", "slow", "hangs", "greedy", "killed", "raises"
SLOW_SECONDS = 90
PRIVATE = "a private value"


class HeldWork(LocalWork):
    """Trains normally, after doing what the request's title says if there are records."""

    def __init__(self, folder: Path) -> None:
        """`folder`: gets a file `started-PID` from each training that is held; a file `open` there
        lets them go on."""
        self._folder = folder

    def train(self, task: TrainingTask, on_step: Callable[[int, int], None] | None = None) -> bytes:
        title = task.spec.title
        if len(task.dataset):
            if title == HELD:
                (self._folder / f"started-{os.getpid()}").touch()
                while not (self._folder / "open").exists():
                    time.sleep(0.05)
            elif title == SLOW:
                time.sleep(SLOW_SECONDS)
            elif title == HANGS:
                time.sleep(10_000)
            elif title == GREEDY:
                held = []
                while len(held) < 100_000:
                    held.append(bytearray(2**22))
            elif title == KILLED:
                os.kill(os.getpid(), signal.SIGKILL)
            elif title == RAISES:
                raise ValueError(PRIVATE)
        return super().train(task, on_step)


def main(
    folder: Path,
    config: Annotated[Path, typer.Option()],
    data: Annotated[Path, typer.Option()],
    policy: Annotated[Path, typer.Option()],
) -> None:
    from fedpact.chain import keystore
    from fedpact.provider.serve import ServedFiles, serve
    from fedpact.settings import load

    settings = load(config)
    password = keystore.read_password(settings.password_file)
    keys = keystore.unlock(settings.keystore, settings.chosen_account(), password)
    log_to_stderr()
    serve(settings, keys, ServedFiles(policy, data), HeldWork(folder))


if __name__ == "__main__":
    # Under its own name, by which the process that trains finds HeldWork.
    from tests.support import held_provider

    typer.run(held_provider.main)
