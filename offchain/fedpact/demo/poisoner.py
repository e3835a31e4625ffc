"""A hostile provider: the real daemon with its local work replaced, as a separate process.

`python -m fedpact.demo.poisoner KIND --config FILE --data FILE --policy FILE`
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from fedpact.demo.options import PoisonKind
from fedpact.logs import log_to_stderr
from fedpact.privacy.noise import SeededNoise, SystemNoise
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.simulation.adversaries import POISONS, RoundTask, SimulatedProvider


class PoisonedWork(LocalWork):
    """Submits and votes like an adversary of the simulation."""

    def __init__(self, adversary: SimulatedProvider) -> None:
        self._adversary = adversary

    def train(self, task: TrainingTask, on_step: Callable[[int, int], None] | None = None) -> bytes:
        others = {
            seat: model
            for seat, model in task.others.items()
            if seat != task.own_seat and model is not None
        }
        return self._adversary.submit(
            RoundTask(
                task.spec,
                task.start,
                others,
                task.dataset,
                SystemNoise(),
                SeededNoise(task.data_seed),
                task.local,
                (task.round, task.own_seat),
            )
        )

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        return self._adversary.vote(scores, own_seat)


def main(
    kind: PoisonKind,
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
    serve(settings, keys, ServedFiles(policy, data), PoisonedWork(POISONS[kind.value]()))


if __name__ == "__main__":
    # Under its own name, by which the process that trains finds PoisonedWork.
    from fedpact.demo import poisoner

    typer.run(poisoner.main)
