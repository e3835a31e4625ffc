"""Free riders: providers that submit models which took no training, and vote honestly.

They know what every member knows: the global models, and the others' models of past rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Literal

import numpy as np

from fedpact.learning.aggregation.base import Vector, flatten, restore
from fedpact.learning.artefact import Model, Template, encode
from fedpact.learning.strategies import LocalTask
from fedpact.simulation.adversaries import RoundTask, SimulatedProvider, mean_of_others
from fedpact.types.privacy import PrivacyMode
from lab.committees.attacks import moved, noise_of_norm, update_of

SLIGHT = 0.3
"""Norm of slight noise, as a share of an honest update's."""


@dataclass
class FreeRider(SimulatedProvider):
    """Submits an update that it takes from what is public.

    * `global`: none, the round's global model;
    * `average`: to the mean of the others' last models;
    * `copied`: to another provider's last model;
    * `extrapolated`: the last movement of the global model once more;
    * `updates`: the mean of the others' last updates;
    * `replayed`: its own update of the first round, in which it trains, divided by the square root
      of the round.

    In the first round, all others submit the global model. The update is hidden under noise with
    `noise` times the norm of an honest update, or, if `declared`, under the noise that the
    specification's mechanism adds to an honest update (none without a mechanism).
    """

    source: Literal["global", "average", "copied", "extrapolated", "updates", "replayed"]
    noise: float = 0.0
    declared: bool = False
    _last_start: Model | None = field(default=None, repr=False)
    _own: Vector | None = field(default=None, repr=False)

    def submit(self, task: RoundTask) -> bytes:
        if self.source == "replayed" and self._own is None:
            self._own = update_of(task)
            return moved(task, self._own)
        update = self._taken(task)
        self._last_start = task.start
        if self.noise:
            update = update + noise_of_norm(task, self.noise * length_of_honest(task))
        if self.declared and task.spec.privacy.mode is PrivacyMode.SOUND:
            return encode(_noised(task, update))
        return moved(task, update)

    def _taken(self, task: RoundTask) -> Vector:
        start = flatten(task.start)
        if self.source == "replayed" and self._own is not None:
            return self._own / sqrt(task.round_and_seat[0])
        if not task.others or self.source == "global":
            return np.zeros_like(start)
        if self.source == "average":
            return flatten(mean_of_others(task)) - start
        if self.source == "copied":
            return flatten(task.others[min(task.others)]) - start
        if self._last_start is None:
            return np.zeros_like(start)
        before = flatten(self._last_start)
        return (start if self.source == "extrapolated" else flatten(mean_of_others(task))) - before


def length_of_honest(task: RoundTask) -> float:
    """Norm of the update of honest training."""
    return float(np.linalg.norm(update_of(task)))


def _noised(task: RoundTask, update: Vector) -> Model:
    """The global model, moved by an update, with the noise of honest training: examples without a
    valid label count as zero, so that training on them adds nothing else."""
    nothing = replace(task.dataset, y=np.full_like(task.dataset.y, -1))
    base = restore(flatten(task.start) + update, Template.of(task.start))
    return replace(task, dataset=nothing, local=LocalTask(base)).train()


FREE_RIDERS: dict[str, Callable[[], SimulatedProvider]] = {
    "global": lambda: FreeRider("global"),
    "global-noise": lambda: FreeRider("global", 1.0),
    "global-loud-noise": lambda: FreeRider("global", 5.0),
    "average": lambda: FreeRider("average"),
    "average-noise": lambda: FreeRider("average", 1.0),
    "copied": lambda: FreeRider("copied"),
    "copied-noise": lambda: FreeRider("copied", 1.0),
    "extrapolated": lambda: FreeRider("extrapolated"),
    "extrapolated-slight-noise": lambda: FreeRider("extrapolated", SLIGHT),
    "extrapolated-declared-noise": lambda: FreeRider("extrapolated", declared=True),
    "updates-slight-noise": lambda: FreeRider("updates", SLIGHT),
    "updates-declared-noise": lambda: FreeRider("updates", declared=True),
    "replayed": lambda: FreeRider("replayed"),
    "replayed-slight-noise": lambda: FreeRider("replayed", SLIGHT),
    "replayed-declared-noise": lambda: FreeRider("replayed", declared=True),
}
