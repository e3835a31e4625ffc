"""Ditto (Li et al. 2021, algorithm 1): FedAvg plus a personal model of each provider."""

from typing import Annotated

from pydantic import Field

from fedpact.learning.artefact import Model
from fedpact.learning.strategies.base import Correction, Globals, LocalTask, Memory, Strategy

PERSONAL = "personal"


class Ditto(Strategy):
    """The personal model v continues from its last state, with its loss plus
    lambda / 2 * |v - w^r|^2; it first starts from the initial model.

    What is submitted, judged and paid is FedAvg's. The personal model is never submitted: a
    provider makes it when it asks for it (`learning.personal`, docs/adr/0062).
    """

    name = "ditto"
    personalises = True
    lam: Annotated[float, Field(ge=0, le=1e6)] = 0.5
    """The paper's lambda."""

    def personal(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        start = memory.models[PERSONAL] if memory else globals_.initial
        return LocalTask(start, Correction(proximal=self.lam, anchor=globals_.start))

    def keep(self, memory: Memory | None, model: Model) -> Memory:
        return Memory({PERSONAL: model})
