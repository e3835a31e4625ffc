"""SCAFFOLD (Karimireddy et al. 2020, algorithm 1, option II)."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from fedpact.learning.artefact import Model
from fedpact.learning.strategies.base import (
    Correction,
    Globals,
    LocalTask,
    Memory,
    Strategy,
    combine,
)

CONTROL = "control"


class Scaffold(Strategy):
    """Each step's gradient is shifted by c - c_i, both initially zero.

    After training from x to y: c_i+ = c_i - c + (x - y) / (K * rate). With momentum, K * rate is
    the sum of the factors with which the steps' gradients enter y, so that c_i+ remains a mean of
    gradients. Server: x + learning_rate * (aggregate - x); c + sum of (c_i+ - c_i) / N.

    Only in simulations: control variates are extra uploads, which no privacy ledger charges.
    """

    name = "scaffold"
    published = False
    remembers = True
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] = 1.0

    def local(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        shift = combine(
            (1.0, _control(globals_.server, globals_.start)),
            (-1.0, _control(memory, globals_.start)),
        )
        return LocalTask(globals_.start, Correction(shift=shift))

    def remember(
        self, globals_: Globals, memory: Memory | None, model: Model, factors: float
    ) -> Memory:
        control = combine(
            (1.0, _control(memory, model)),
            (-1.0, _control(globals_.server, model)),
            (1 / factors, globals_.start),
            (-1 / factors, model),
        )
        return Memory({CONTROL: control})

    def server(
        self,
        globals_: Globals,
        aggregate: Model,
        changes: Mapping[int, tuple[Memory | None, Memory]],
        providers: int,
    ) -> tuple[Model, Memory]:
        start, share = globals_.start, 1 / providers
        model = combine((1 - self.learning_rate, start), (self.learning_rate, aggregate))
        terms = [(1.0, _control(globals_.server, start))]
        for seat in sorted(changes):
            before, after = changes[seat]
            terms += [(share, _control(after, start)), (-share, _control(before, start))]
        return model, Memory({CONTROL: combine(*terms)})


def _control(memory: Memory | None, like: Model) -> Model:
    """The control variate; zeros if there is none yet."""
    if memory is None or CONTROL not in memory.models:
        return {name: np.zeros_like(values) for name, values in like.items()}
    return memory.models[CONTROL]
