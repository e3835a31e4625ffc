"""The global model of a round, as every member and every auditor computes it."""

from collections.abc import Mapping, Sequence

import numpy as np

from fedpact.consensus.leader import capped_weights
from fedpact.learning.aggregation import RULES
from fedpact.learning.artefact import Model
from fedpact.learning.families import LocalModels, family_of
from fedpact.learning.server_step import next_global
from fedpact.learning.strategies import Globals, strategy
from fedpact.types.specification import Specification


def combining_weights(spec: Specification, samples: Mapping[int, int]) -> dict[int, int]:
    """The weights of the models, by seat: the declared samples of all that submitted, where
    they cap each other unless the specification's rule says otherwise."""
    rule = RULES.get(spec.aggregation.name)
    return capped_weights(samples) if rule is None or rule.capped else dict(samples)


def global_model(
    spec: Specification,
    round_number: int,
    globals_: Globals,
    models: Mapping[int, Model],
    samples: Mapping[int, int],
    included: Sequence[int],
) -> Model:
    """The next global model: the aggregate by the specification's rule, then the strategy's step;
    byte-identical everywhere.

    Args:
        round_number: from 1.
        globals_: what everybody knows when the round begins; without an included model, `start`
            remains the global model.
        models: by seat, at least the included ones.
        samples: declared samples of all seats that submitted.
        included: seats within the ceiling.
    """
    if not included:
        return globals_.start
    weights = combining_weights(spec, samples)
    taken = strategy(spec.strategy).aggregated(round_number, list(samples), included)
    chosen = {seat: models[seat] for seat in taken}
    if spec.privacy.sum is not None and not family_of(spec).moves:
        chosen = _one_of_each_sum(chosen)
    aggregated = family_of(spec).combine(spec, LocalModels(globals_.start, chosen, weights))
    return next_global(spec, round_number, globals_, aggregated, {}, len(models))[0]


def _one_of_each_sum(models: Mapping[int, Model]) -> dict[int, Model]:
    """Without the models of a group's other members, which are the same: sums are added, not
    averaged."""
    found: dict[int, Model] = {}
    for seat, model in models.items():
        if not any(_same(model, other) for other in found.values()):
            found[seat] = model
    return found


def _same(one: Model, other: Model) -> bool:
    return all(np.array_equal(values, other[name]) for name, values in one.items())
