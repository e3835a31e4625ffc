"""Training of a linear model on scattering features, by data set.

Each data set's step was chosen on its public slice; the evaluation set is drawn from it as well,
and no provider has it.
"""

from dataclasses import dataclass
from typing import Any

FAMILY = "scattering-linear"
ROUNDS = 20


@dataclass(frozen=True)
class ServerStep:
    """The step of each round after the statistics round."""

    learning_rate: float
    clipping_norm: float
    momentum: float
    """Of the server."""
    mirrored: int = 0
    """The family's parameter."""

    @property
    def parameters(self) -> dict[str, Any]:
        return {"mirrored": self.mirrored}

    @property
    def local(self) -> dict[str, Any]:
        return {"steps": 1, "learning_rate": self.learning_rate}

    @property
    def strategy(self) -> dict[str, Any]:
        return {"name": "fedavgm", "parameters": {"momentum": self.momentum}}


STEPS = {
    "mnist": ServerStep(12_000.0, 0.03, 0.6),
    "cifar10": ServerStep(12_000.0, 0.03, 0.8, mirrored=1),
}
"""By data set."""
