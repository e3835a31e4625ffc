"""Dynamic local model update (Wang et al. 2024, equation 1 and algorithm 1)."""

from typing import Annotated

from pydantic import Field

from fedpact.learning.artefact import Model
from fedpact.learning.strategies.base import Globals, LocalTask, Memory, Strategy, combine
from fedpact.learning.update_bounds import update_norm

LAST = "last"
FIRST_DISTANCE = "first-distance"


class DLMU(Strategy):
    """Training starts between the global model and the provider's own last one.

    w_i = (1 - beta) w^r + beta w_i^(r-1), beta = min(alpha * |w^r - w_i^(r-1)|, 1), and
    alpha = tau / |W^1 - W^0|, fixed by the provider's first model W^1 and the initial one W^0. A
    provider that has not trained yet starts from w^r; one that was not sampled for a while uses
    its last model, however old. If W^1 equals W^0, alpha is infinite and beta is 1, unless the
    models are equal.

    A provider's own models are used as submitted, with their noise, so they cost no more privacy.
    """

    name = "dlmu"
    remembers = True
    tau: Annotated[float, Field(ge=0, le=1e6)] = 0.8

    def local(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        if memory is None:
            return LocalTask(globals_.start)
        beta = self.beta(globals_.start, memory)
        return LocalTask(combine((1 - beta, globals_.start), (beta, memory.models[LAST])))

    def beta(self, start: Model, memory: Memory) -> float:
        """Share of the provider's own model in its start, 0 to 1."""
        apart = update_norm(start, memory.models[LAST])
        first = memory.numbers[FIRST_DISTANCE]
        if apart == 0 or self.tau == 0:
            return 0.0
        # Not alpha * apart: if `first` is tiny, alpha alone would overflow.
        return 1.0 if self.tau * apart >= first else self.tau * apart / first

    def remember(
        self, globals_: Globals, memory: Memory | None, model: Model, factors: float
    ) -> Memory:
        first = memory.numbers[FIRST_DISTANCE] if memory else update_norm(globals_.initial, model)
        return Memory({LAST: model}, {FIRST_DISTANCE: first})
