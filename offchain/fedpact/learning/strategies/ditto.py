"""Ditto (Li et al. 2021, algorithm 1): FedAvg plus a personal model of each provider."""

from typing import Annotated

from pydantic import Field

from fedpact.learning.artefact import Model
from fedpact.learning.strategies.base import Correction, Globals, LocalTask, Memory, Strategy

PERSONAL = "personal"


class Ditto(Strategy):
    """The personal model v continues from its last state, with its loss plus
    lambda / 2 * |v - w^r|^2; it first starts from the initial model.

    Only in simulations: personal models are never submitted, so there is nothing to judge or pay.
    """

    name = "ditto"
    published = False
    remembers = True
    lam: Annotated[float, Field(ge=0, le=1e6)] = 0.1
    """The paper's lambda."""

    def personal(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        start = memory.models[PERSONAL] if memory else globals_.initial
        return LocalTask(start, Correction(proximal=self.lam, anchor=globals_.start))

    def keep(self, memory: Memory | None, model: Model) -> Memory:
        return Memory({PERSONAL: model})
