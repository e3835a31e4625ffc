"""Model families by the name that a specification gives."""

from fedpact.errors import SpecificationError
from fedpact.learning.families.dense import ModelFamily
from fedpact.learning.families.mlp import MLP
from fedpact.learning.families.softmax import SoftmaxRegression

FAMILIES: dict[str, ModelFamily] = {one.name: one for one in (SoftmaxRegression(), MLP())}

__all__ = ["FAMILIES", "ModelFamily", "family"]


def family(name: str) -> ModelFamily:
    """The family of that name; raises SpecificationError for one that fedpact does not know."""
    if name not in FAMILIES:
        raise SpecificationError(f"model family {name!r} is unknown: one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
