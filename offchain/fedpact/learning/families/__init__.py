"""Model families by the name that a specification gives."""

from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from fedpact.data.dataset import Dataset
from fedpact.errors import SpecificationError
from fedpact.learning.families.base import ConstructedFamily, GradientFamily, ModelFamily
from fedpact.types.specification import Specification

FAMILIES = {
    "softmax-regression": "fedpact.learning.families.softmax:SoftmaxRegression",
    "linear-regression": "fedpact.learning.families.linear:LinearRegression",
    "mlp": "fedpact.learning.families.mlp:MLP",
    "cnn": "fedpact.learning.families.cnn:CNN",
    "text-statistics": "fedpact.learning.families.text_statistics:TextStatistics",
    "scattering-linear": "fedpact.learning.families.scattering_linear:ScatteringLinear",
    "decision-tree": "fedpact.learning.families.trees:DecisionTree",
    "random-forest": "fedpact.learning.families.random_forest:RandomForest",
    "boosted-trees": "fedpact.learning.families.trees:BoostedTrees",
    "char-lstm": "fedpact.learning.families.char_lstm:CharLSTM",
}
"""Where each family stands; it is imported when first asked for, as some need torch."""

__all__ = [
    "FAMILIES",
    "ConstructedFamily",
    "GradientFamily",
    "ModelFamily",
    "constructed_family",
    "family",
    "gradient_family",
    "represented",
]


@lru_cache(maxsize=64)
def _load(place: str) -> ModelFamily[Any]:
    module, name = place.split(":")
    found: ModelFamily[Any] = getattr(import_module(module), name)()
    return found


def family(name: str) -> ModelFamily[Any]:
    """The family of that name; raises SpecificationError for one that fedpact does not know."""
    if name not in FAMILIES:
        raise SpecificationError(f"model family {name!r} is unknown: one of {', '.join(FAMILIES)}")
    return _load(FAMILIES[name])


def gradient_family(name: str) -> GradientFamily[Any]:
    """The family of that name; raises SpecificationError where it descends no gradient."""
    found = family(name)
    if not isinstance(found, GradientFamily):
        raise SpecificationError(f"model family {name!r} descends no gradient")
    return found


def constructed_family(name: str) -> ConstructedFamily[Any]:
    """The family of that name; raises SpecificationError where its models are not constructed."""
    found = family(name)
    if not isinstance(found, ConstructedFamily):
        raise SpecificationError(f"model family {name!r} descends a gradient")
    return found


def represented(spec: Specification, data: Dataset, folder: Path | None = None) -> Dataset:
    """A data set in the form that its family trains on and predicts most quickly; what is in that
    form already stays. What takes long to compute is kept in `folder`, if one is given."""
    return replace(data, x=family(spec.family.name).represented(spec, data.x, folder))
