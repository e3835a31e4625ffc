"""Aggregation rules: pure functions from models and weights to one model.

Every machine computes each value by the same IEEE operations in the same order (ascending seats,
float64, no reduction whose order a library may choose), so that all members get the same bytes.
Proof of training Quality precedes every rule: only models whose median vote is within the ceiling
reach it.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from fedpact.errors import SpecificationError, UnknownName
from fedpact.learning.aggregation.base import Rule
from fedpact.learning.aggregation.centred_clipping import CentredClipping, centred_clipping
from fedpact.learning.aggregation.krum import MultiKrum, multi_krum
from fedpact.learning.aggregation.median import CoordinateMedian, coordinate_median
from fedpact.learning.aggregation.norm_bounding import NormBounding, norm_bounding
from fedpact.learning.aggregation.trimmed import TrimmedMean, trimmed_mean
from fedpact.learning.aggregation.weighted_mean import (
    EqualMean,
    SampleMean,
    WeightedMean,
    weighted_mean,
)
from fedpact.learning.artefact import Model
from fedpact.types.specification import AggregationChoice
from fedpact.types.validation import first_error

RULES: dict[str, type[Rule]] = {
    one.name: one
    for one in (
        WeightedMean,
        SampleMean,
        EqualMean,
        CoordinateMedian,
        TrimmedMean,
        MultiKrum,
        CentredClipping,
        NormBounding,
    )
}

__all__ = [
    "RULES",
    "Rule",
    "aggregate",
    "centred_clipping",
    "check_aggregation",
    "coordinate_median",
    "multi_krum",
    "norm_bounding",
    "rule",
    "trimmed_mean",
    "weighted_mean",
]


def rule(aggregation: AggregationChoice) -> Rule:
    """The rule that a specification names, with its parameters.

    Raises UnknownName, and SpecificationError for a parameter that it does not have, that is
    missing or that is out of range.
    """
    if aggregation.name not in RULES:
        raise UnknownName(f"aggregation {aggregation.name!r} is unknown: one of {', '.join(RULES)}")
    kind = RULES[aggregation.name]
    unknown = sorted(set(aggregation.parameters) - set(kind.model_fields))
    if unknown:
        known = ", ".join(kind.model_fields) or "none"
        raise SpecificationError(
            f"aggregation {aggregation.name!r} has no parameter {unknown[0]!r} (it has: {known})"
        )
    try:
        return kind(**aggregation.parameters)
    except ValidationError as error:
        raise SpecificationError(
            f"aggregation {aggregation.name!r}: {first_error(error)}"
        ) from error


def check_aggregation(aggregation: AggregationChoice, providers: int) -> None:
    """Raises SpecificationError for an unknown rule, for wrong parameters, and for parameters that
    a committee of `providers` can never meet."""
    rule(aggregation).check(providers)


def aggregate(
    aggregation: AggregationChoice,
    models: Mapping[int, Model],
    weights: Mapping[int, int],
    start: Model,
) -> Model:
    """The aggregate of at least one model by a specification's rule; all keys are seats.

    `start` is the global model that the round began from.

    Raises ModelError for no models, for models of different templates, for bad weights;
    SpecificationError for an unknown rule or wrong parameters.
    """
    return rule(aggregation).combine(models, weights, start)
