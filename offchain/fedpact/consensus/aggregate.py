"""The global model of a round, as every member and every auditor computes it."""

from collections.abc import Mapping, Sequence

from fedpact.consensus.leader import capped_weights
from fedpact.learning.artefact import Model
from fedpact.learning.families import LocalModels, family_of
from fedpact.learning.server import next_global
from fedpact.learning.strategies import Globals, strategy
from fedpact.types.specification import Specification


def global_model(
    spec: Specification,
    round_number: int,
    start: Model,
    models: Mapping[int, Model],
    samples: Mapping[int, int],
    included: Sequence[int],
    *,
    before: Model | None,
) -> Model:
    """The next global model by the specification's rule, and its strategy's step from there;
    byte-identical everywhere.

    Args:
        round_number: from 1.
        start: the round's global model; it stands where no model is included.
        models: by seat, at least the included ones.
        samples: declared samples of all seats that submitted, which cap each other's weight.
        included: seats within the ceiling.
        before: the global model before `start`; None in the first round.
    """
    if not included:
        return start
    weights = capped_weights(samples)
    taken = strategy(spec.strategy).aggregated(round_number, list(samples), included)
    chosen = {seat: models[seat] for seat in taken}
    aggregated = family_of(spec).combine(spec, LocalModels(start, chosen, weights))
    globals_ = Globals(start, start, before)
    return next_global(spec, round_number, globals_, aggregated, {}, len(models))[0]
