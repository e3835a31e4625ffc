"""The global model of a round, as every member and every auditor computes it."""

from collections.abc import Mapping, Sequence

from fedpact.consensus.leader import capped_weights
from fedpact.learning.aggregation import aggregate
from fedpact.learning.artefact import Model
from fedpact.types.specification import Specification


def global_model(
    spec: Specification,
    start: Model,
    models: Mapping[int, Model],
    samples: Mapping[int, int],
    included: Sequence[int],
) -> Model:
    """The aggregate of the included models by the specification's rule; byte-identical everywhere.

    Args:
        start: the round's global model; it stands where no model is included.
        models: by seat, at least the included ones.
        samples: declared samples of all seats that submitted, which cap each other's weight.
        included: seats within the ceiling.
    """
    if not included:
        return start
    weights = capped_weights(samples)
    chosen = {seat: models[seat] for seat in included}
    return aggregate(spec.aggregation, chosen, weights, start)
