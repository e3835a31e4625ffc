"""FedProx (Li et al. 2020, algorithm 2)."""

from typing import Annotated

from pydantic import Field

from fedpact.learning.strategies.base import Correction, Globals, LocalTask, Memory, Strategy


class FedProx(Strategy):
    """Local loss plus mu / 2 * |w - w^r|^2."""

    name = "fedprox"
    mu: Annotated[float, Field(ge=0, le=1e6)] = 0.01

    def local(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        return LocalTask(globals_.start, Correction(proximal=self.mu, anchor=globals_.start))
