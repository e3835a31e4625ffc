"""Families that may serve a request, and forms of one, for a simulation to choose among."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedpact.errors import DataMissing
from fedpact.features.networks.pinned import (
    EFFICIENTNET_LITE0,
    MINILM,
    PinnedNetwork,
    check_pinned,
)
from fedpact.learning.splits import is_number
from fedpact.requester.draft_defaults import proposal
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
PAIRS = {"trees": 512, "numbers": 0.95, "questions": "pairs"}
"""Of trees, where numbers say most, and their differences and products more than each of them."""
PAIRS_TRAINING = {
    "local": {"steps": 1, "learning_rate": 80.0},
    "strategy": {"name": "fedavgm", "parameters": {"momentum": 0.8}},
    "rounds": 20,
}
PAIRS_NORM = 0.4
"""lab/tables/README.md."""
PHOTOGRAPHS = {
    "family": {
        "name": "network-linear",
        "parameters": {
            "network": EFFICIENTNET_LITE0.name,
            "digest": EFFICIENTNET_LITE0.digest,
        },
    },
    "local": {"steps": 1, "learning_rate": 800.0},
    "strategy": {"name": "fedavgm", "parameters": {"momentum": 0.9}},
    "rounds": 20,
}
PHOTOGRAPHS_NORM = 0.1
"""lab/public_networks/images.py."""
SENTENCES = ((1.5, 12, 1.6), (3.5, 12, 0.8), (math.inf, 14, 0.5))
"""Up to which epsilon, `bits`, and `dense_weight` of a network's rows: docs/texts.md."""


@dataclass(frozen=True)
class FamilyCandidate:
    """Fields of a draft."""

    name: str
    """The family's, and in words the form of it, where there are several."""
    fields: Mapping[str, Any]

    @property
    def family(self) -> str:
        return str(self.fields["family"]["name"])


def candidates(schema: DataSchema, epsilon: float, output: Any = None) -> list[FamilyCandidate]:
    """Drafts for data of a schema, the proposed one first.

    To classify, a table may also be learnt by logistic regression, whose few values need less
    noise, and one with two numbers or more by trees that ask mostly about pairs of them; images,
    by softmax regression on scattering features and, in colour, on a public network's; texts, with
    the sums of a public network's rows. A network is tried where it is installed. Raises
    SpecificationError as `proposal`.
    """
    first = proposal(schema, epsilon, output)
    found = [FamilyCandidate(first["family"]["name"], first)]
    if first.get("task") == "regression":
        return found
    if schema.is_table:
        if sum(map(is_number, schema.inputs)) > 1:
            found.append(_by_pairs(first))
        found.append(_instead(first, LINEAR, LINEAR_NORM))
    elif _are_images(schema):
        shaped = {"features": {**first["features"], "shape": list(schema.shape)}}
        found.append(_instead({**first, **shaped}, SCATTERING, SCATTERING_NORM))
        if _in_colour(schema) and _is_installed(EFFICIENTNET_LITE0):
            found.append(_instead({**first, **shaped}, PHOTOGRAPHS, PHOTOGRAPHS_NORM))
    elif schema.kind == "text" and _is_installed(MINILM):
        found.append(_by_sentences(first, epsilon))
    return found


def _by_sentences(first: Mapping[str, Any], epsilon: float) -> FamilyCandidate:
    bits, weight = next((bits, weight) for most, bits, weight in SENTENCES if epsilon <= most)
    name = "network-statistics"
    parameters = {"network": MINILM.name, "digest": MINILM.digest}
    form = {"name": name, "parameters": {**parameters, "bits": bits, "dense_weight": weight}}
    return FamilyCandidate(name, {**first, "family": form})


def _is_installed(network: PinnedNetwork) -> bool:
    try:
        check_pinned(network, network.name, network.digest)
    except DataMissing:
        return False
    return True


def _by_pairs(first: Mapping[str, Any]) -> FamilyCandidate:
    family = first["family"]
    parameters = {**family["parameters"], **PAIRS}
    form = {**PAIRS_TRAINING, "family": {**family, "parameters": parameters}}
    return _instead(first, form, PAIRS_NORM, " of pairs of numbers")


def _instead(
    first: Mapping[str, Any], fields: Mapping[str, Any], norm: float, form: str = ""
) -> FamilyCandidate:
    privacy = {**first["privacy"], "clipping_norm": norm}
    return FamilyCandidate(fields["family"]["name"] + form, {**first, **fields, "privacy": privacy})


def _are_images(schema: DataSchema) -> bool:
    """Whether scattering takes arrays of this shape: sides of 8 and more, multiples of 4."""
    sides = schema.shape[-2:]
    return (
        len(schema.shape) in (2, 3)
        and all(side % 4 == 0 and side >= 8 for side in sides)
        and math.prod(schema.shape[:-2]) in (1, 3)
    )


def _in_colour(schema: DataSchema) -> bool:
    return len(schema.shape) == 3 and schema.shape[0] == 3
