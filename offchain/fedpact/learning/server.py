"""The server's step of a round: from the aggregate to the next global model."""

from collections.abc import Mapping
from dataclasses import replace

from fedpact.learning.artefact import Model
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

    Statistics are taken over as they were aggregated, and are no step that a strategy could carry
    on: the round after them begins as a first one.

    Args: as `Strategy.server` has them.
    """
    model_family = family_of(spec)
    if model_family.gathers(round_number):
        return aggregated, globals_.server
    if model_family.gathers(round_number - 1):
        globals_ = replace(globals_, before=None)
    return strategy(spec.strategy).server(globals_, aggregated, changes, providers)
