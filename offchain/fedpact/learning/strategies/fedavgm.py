"""FedAvg with server momentum (Hsu, Qi & Brown 2019)."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from fedpact.learning.artefact import Model
from fedpact.learning.strategies.base import Globals, Memory, Strategy, combine


class FedAvgM(Strategy):
    """v_r = momentum * v_(r-1) + (aggregate - w_r); w_(r+1) = w_r + learning_rate * v_r.

    v_(r-1) is (w_r - w_(r-1)) / learning_rate, zero in the first round: it follows from the two
    attested models, so nobody has to store it.
    """

    name = "fedavgm"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] = 1.0

    def server(
        self,
        globals_: Globals,
        aggregate: Model,
        changes: Mapping[int, tuple[Memory | None, Memory]],
        providers: int,
    ) -> tuple[Model, Memory]:
        start, before = globals_.start, globals_.before or globals_.start
        # Without momentum and at rate 1, exactly the aggregate.
        found = combine(
            (1.0 + self.momentum - self.learning_rate, start),
            (-self.momentum, before),
            (self.learning_rate, aggregate),
        )
        return found, globals_.server
