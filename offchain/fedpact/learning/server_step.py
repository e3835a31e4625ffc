"""The server's step of a round: from the aggregate to the next global model."""

from collections.abc import Mapping
from dataclasses import replace

from fedpact.learning.artefact import Model, bounded
from fedpact.learning.families import family_of
from fedpact.learning.strategies import Globals, Memory, strategy
from fedpact.types.specification import Specification


def next_global(
    spec: Specification,
    round_number: int,
    globals_: Globals,
    aggregated: Model,
    changes: Mapping[int, tuple[Memory | None, Memory]],
    providers: int,
) -> tuple[Model, Memory]:
    """The next global model and the server's memory, by the specification's strategy.

    Statistics become the global model unchanged, since a strategy cannot continue from them: the
    next round starts like a first one.
    Values stay within what the family's template allows, whatever a strategy adds.

    Args: those of `Strategy.server`.
    """
    model_family = family_of(spec)
    largest = model_family.template(spec).largest
    if model_family.gathers(round_number):
        return bounded(aggregated, largest), globals_.server
    if model_family.gathers(round_number - 1):
        globals_ = replace(globals_, before=None)
    found, memory = strategy(spec.strategy).server(globals_, aggregated, changes, providers)
    return bounded(found, largest), memory
