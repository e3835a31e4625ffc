"""A strategy that reads everything a strategy may read, in each of its functions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fedpact.learning.artefact import Model
from fedpact.learning.strategies import STRATEGIES, Correction, Globals, LocalTask, Memory, Strategy
from fedpact.learning.strategies.base import combine
from fedpact.learning.update_bounds import update_norm


class Drifting(Strategy):
    """Training starts far from the global model: at a point that a member's last round fixed.

    Whoever passes `remember` the globals of another round gets a start so far off that an honest
    update seems larger than the mechanism allows.
    """

    name = "drifting"
    remembers = True

    def local(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        if memory is None:
            return LocalTask(globals_.start)
        scale = 1 / (1 + memory.numbers["first"])
        start = combine((1 - scale, globals_.start), (scale, memory.models["point"]))
        return LocalTask(start, Correction(proximal=1e-3, anchor=memory.models["anchor"]))

    def remember(
        self, globals_: Globals, memory: Memory | None, model: Model, factors: float
    ) -> Memory:
        start, before = globals_.start, globals_.before or globals_.initial
        first = memory.numbers["first"] if memory else update_norm(globals_.initial, model)
        point = combine((1.0, model), (30.0, start), (-20.0, globals_.initial), (-10.0, before))
        anchor = combine((0.5, start), (0.3, globals_.initial), (0.2, before))
        return Memory({"point": point, "anchor": anchor}, {"first": first})

    def server(
        self,
        globals_: Globals,
        aggregate: Model,
        changes: Mapping[int, tuple[Memory | None, Memory]],
        providers: int,
    ) -> tuple[Model, Memory]:
        before = globals_.before or globals_.initial
        terms = (0.5, aggregate), (0.3, globals_.start), (0.15, globals_.initial), (0.05, before)
        return combine(*terms), globals_.server


@contextmanager
def drifting_known() -> Iterator[None]:
    """Specifications may name the strategy while this is open."""
    STRATEGIES[Drifting.name] = Drifting
    try:
        yield
    finally:
        del STRATEGIES[Drifting.name]
