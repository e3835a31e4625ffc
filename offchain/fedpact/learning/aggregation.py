"""Aggregation rules: pure functions from models and weights to one model.

Each value of the result is computed by the same IEEE operations in the same order wherever it
runs (ascending seats, float64, no reduction whose order a library may choose), so that all members
get the same bytes.
"""

from collections.abc import Mapping

import numpy as np

from fedpact.errors import ModelError, SpecificationError
from fedpact.learning.artefact import Model, Template
from fedpact.types.specification import Aggregation

RULES = ("weighted-mean", "coordinate-median")


def weighted_mean(models: Mapping[int, Model], weights: Mapping[int, int]) -> Model:
    """sum of w_i * model_i over sum of w_i (McMahan et al. 2017, algorithm 1), weights by seat."""
    template = _common_template(models)
    total = sum(weights[seat] for seat in models)
    if total <= 0 or any(weights[seat] < 0 for seat in models):
        raise ModelError("weights of a mean must not be negative, and not all zero")
    mean: Model = {}
    for name, shape in template.tensors:
        values = np.zeros(shape, dtype=np.float64)
        for seat in sorted(models):
            values += models[seat][name].astype(np.float64) * float(weights[seat])
        mean[name] = (values / float(total)).astype(np.float32)
    return mean


def coordinate_median(models: Mapping[int, Model]) -> Model:
    """Median of each value (Yin et al. 2018, option I); of an even count the middle two's mean."""
    template = _common_template(models)
    middle = len(models) // 2
    median: Model = {}
    for name, _ in template.tensors:
        ordered = np.sort(np.stack([models[seat][name] for seat in sorted(models)]), axis=0)
        upper = ordered[middle].astype(np.float64)
        lower = ordered[middle if len(models) % 2 else middle - 1].astype(np.float64)
        median[name] = ((lower + upper) / 2).astype(np.float32)
    return median


def check_aggregation(aggregation: Aggregation) -> None:
    """Raises SpecificationError for a rule that fedpact does not know, or a parameter of it."""
    if aggregation.name not in RULES:
        raise SpecificationError(
            f"aggregation {aggregation.name!r} is unknown: one of {', '.join(RULES)}"
        )
    for name in aggregation.parameters:
        raise SpecificationError(f"aggregation {aggregation.name!r} has no parameter {name!r}")


def aggregate(
    aggregation: Aggregation,
    models: Mapping[int, Model],
    weights: Mapping[int, int],
    start: Model,
) -> Model:
    """The aggregate of at least one model by a specification's rule; all keys are seats.

    `start` is the global model that the round began from.

    Raises ModelError for no models, for models that do not fit one template, for bad weights;
    SpecificationError for an unknown rule.
    """
    check_aggregation(aggregation)
    if aggregation.name == "coordinate-median":
        return coordinate_median(models)
    return weighted_mean(models, weights)


def _common_template(models: Mapping[int, Model]) -> Template:
    templates = {Template.of(model) for model in models.values()}
    if len(templates) != 1:
        raise ModelError(f"cannot aggregate {len(models)} models of {len(templates)} templates")
    return templates.pop()
