"""Model families by their name in a specification."""

from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from fedpact.data.dataset import Dataset
from fedpact.errors import SpecificationError
from fedpact.learning.families.base import (
    ConstructedFamily,
    GradientFamily,
    LocalModels,
    ModelFamily,
)
from fedpact.types.specification import Specification

FAMILIES = {
    "softmax-regression": "fedpact.learning.families.softmax:SoftmaxRegression",
    "linear-regression": "fedpact.learning.families.linear:LinearRegression",
    "mlp": "fedpact.learning.families.mlp:MLP",
    "cnn": "fedpact.learning.families.cnn:CNN",
    "text-statistics": "fedpact.learning.families.text_statistics:TextStatistics",
    "scattering-linear": "fedpact.learning.families.scattering_linear:ScatteringLinear",
    "network-statistics": "fedpact.learning.families.network_statistics:NetworkStatistics",
    "network-linear": "fedpact.learning.families.network_linear:NetworkLinear",
    "generalised-linear": "fedpact.learning.families.generalised_linear:GeneralisedLinear",
    "oblivious-trees": "fedpact.learning.families.oblivious_trees:ObliviousTrees",
    "decision-tree": "fedpact.learning.families.trees:DecisionTree",
    "random-forest": "fedpact.learning.families.random_forest:RandomForest",
    "boosted-trees": "fedpact.learning.families.trees:BoostedTrees",
    "char-lstm": "fedpact.learning.families.char_lstm:CharLSTM",
}
"""Import path of each family; imported on first use, since some need torch."""

__all__ = [
    "FAMILIES",
    "ConstructedFamily",
    "GradientFamily",
    "LocalModels",
    "ModelFamily",
    "constructed_family_of",
    "family",
    "family_of",
    "gradient_family_of",
    "privacy_statement",
    "represented",
]


@lru_cache(maxsize=64)
def _load(import_path: str) -> ModelFamily[Any]:
    module, name = import_path.split(":")
    found: ModelFamily[Any] = getattr(import_module(module), name)()
    return found


def family(name: str) -> ModelFamily[Any]:
    """The family of that name; raises SpecificationError for an unknown name."""
    if name not in FAMILIES:
        raise SpecificationError(f"model family {name!r} is unknown: one of {', '.join(FAMILIES)}")
    return _load(FAMILIES[name])


def family_of(spec: Specification) -> ModelFamily[Any]:
    """The specification's family; raises SpecificationError if fedpact does not know it."""
    return family(spec.family.name)


def privacy_statement(spec: Specification) -> str:
    """A request's privacy in words, with what its family stands on that no promise covers. A family
    that fedpact does not know adds nothing."""
    found = family_of(spec).uncovered(spec) if spec.family.name in FAMILIES else ""
    return f"{spec.privacy.statement}; {found}" if found else spec.privacy.statement


def gradient_family_of(spec: Specification) -> GradientFamily[Any]:
    """The specification's family; raises SpecificationError if it does not descend a gradient."""
    found = family_of(spec)
    if not isinstance(found, GradientFamily):
        raise SpecificationError(f"model family {spec.family.name!r} descends no gradient")
    return found


def constructed_family_of(spec: Specification) -> ConstructedFamily[Any]:
    """The specification's family; raises SpecificationError if it does not construct its models."""
    found = family_of(spec)
    if not isinstance(found, ConstructedFamily):
        raise SpecificationError(f"model family {spec.family.name!r} descends a gradient")
    return found


def represented(spec: Specification, data: Dataset, folder: Path | None = None) -> Dataset:
    """The data set in the form that its family trains on and predicts fastest; data already in that
    form are unchanged. Expensive results are cached in `folder`, if one is given."""
    return replace(data, x=family_of(spec).represented(spec, data.x, folder))
