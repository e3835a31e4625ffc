"""Families that may serve a request, for a simulation to choose among."""

import math
from typing import Any

from fedpact.requester.proposal import proposal
from fedpact.types.schema import DataSchema

LINEAR = {
    "family": {"name": "generalised-linear", "parameters": {}},
    "local": {"steps": 1, "learning_rate": 4.0},
    "strategy": {"name": "fedavgm", "parameters": {"momentum": 0.9}},
}
LINEAR_NORM = 1.0
SCATTERING = {
    "family": {"name": "scattering-linear", "parameters": {}},
    "local": {"steps": 1, "learning_rate": 12_000.0},
    "strategy": {"name": "fedavgm", "parameters": {"momentum": 0.6}},
    "rounds": 20,
}
SCATTERING_NORM = 0.03
"""docs/families.md: gradients on scattering features are small."""


def candidates(schema: DataSchema, epsilon: float, output: Any = None) -> list[dict[str, Any]]:
    """Fields of drafts for data of a schema, the proposed one first.

    To classify, a table may also be learnt by logistic regression, whose few values need less
    noise; images, by softmax regression on scattering features. Raises SpecificationError as
    `proposal`.
    """
    first = proposal(schema, epsilon, output)
    found = [first]
    if first.get("task") == "regression":
        return found
    if schema.is_table:
        found.append(_instead(first, LINEAR, LINEAR_NORM))
    elif _are_images(schema):
        shaped = {"features": {**first["features"], "shape": list(schema.shape)}}
        found.append(_instead({**first, **shaped}, SCATTERING, SCATTERING_NORM))
    return found


def _instead(first: dict[str, Any], fields: dict[str, Any], norm: float) -> dict[str, Any]:
    return {**first, **fields, "privacy": {**first["privacy"], "clipping_norm": norm}}


def _are_images(schema: DataSchema) -> bool:
    """Whether scattering takes arrays of this shape: sides of 8 and more, multiples of 4."""
    sides = schema.shape[-2:]
    return (
        len(schema.shape) in (2, 3)
        and all(side % 4 == 0 and side >= 8 for side in sides)
        and math.prod(schema.shape[:-2]) in (1, 3)
    )
