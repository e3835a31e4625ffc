"""Model families by their name in a specification."""

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from fedpact.data.dataset import Dataset
from fedpact.errors import SpecificationError, UnknownFamily
from fedpact.learning.families.base import (
    AppFamily,
    ConstructedFamily,
    GradientFamily,
    LocalModels,
    ModelFamily,
    SummedFamily,
)
from fedpact.learning.packages import package_of, package_of_app, packaged
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import FamilyChoice, FamilyPackage, Specification

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
"""Import path of each family of fedpact's own; imported on first use, since some need torch."""
FLOWER = "flower"
"""The family of Flower's apps: fedpact's own, but what trains is an app's package."""
_FLOWER_PATH = "fedpact.learning.families.flower:FlowerFamily"

__all__ = [
    "FAMILIES",
    "FLOWER",
    "AppFamily",
    "ConstructedFamily",
    "GradientFamily",
    "LocalModels",
    "ModelFamily",
    "SummedFamily",
    "app_family_of",
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
    """The family of that name, fedpact's own or an installed package's; raises UnknownFamily."""
    if name in FAMILIES or name == FLOWER:
        return _load(FAMILIES.get(name, _FLOWER_PATH))
    offered = packaged().get(name)
    if offered is None:
        raise UnknownFamily(
            f"model family {name!r} is unknown: fedpact has {', '.join((*FAMILIES, FLOWER))};"
            " installed"
            f" packages have {', '.join(packaged()) or 'none'}"
        )
    return _load(offered.value)


def family_of(spec: Specification) -> ModelFamily[Any]:
    """The specification's family; raises UnknownFamily if it is not installed here, or not in the
    package, version and form that the specification names."""
    _require_package(spec.family)
    return family(spec.family.name)


def _require_package(asked: FamilyChoice) -> None:
    if asked.name in FAMILIES:
        if asked.package is not None:
            raise UnknownFamily(f"model family {asked.name!r} is fedpact's own: name no package")
        return
    if asked.name == FLOWER:
        if asked.package is None:
            raise UnknownFamily("model family 'flower' is of an app's package: name it")
        app = str(asked.parameters.get("app"))
        _require_same(asked, package_of_app(app, asked.package.name))
        return
    if asked.name not in packaged():
        if asked.package is None:
            return  # `family` says what there is
        raise UnknownFamily(
            f"model family {asked.name!r} is of the package {asked.package.name}"
            f" {asked.package.version}, which is not installed here"
        )
    _require_same(asked, package_of(asked.name))


def _require_same(asked: FamilyChoice, here: FamilyPackage) -> None:
    if asked.package is None:
        raise UnknownFamily(
            f"model family {asked.name!r} is of the package {here.name}: name it in family.package"
        )
    if asked.package != here:
        raise UnknownFamily(
            f"model family {asked.name!r}: {asked.package.name} {asked.package.version} (sha-256"
            f" {asked.package.digest}) is asked for, {here.name} {here.version} (sha-256"
            f" {here.digest}) is installed"
        )


def privacy_statement(spec: Specification) -> str:
    """A request's privacy in words, with what its family stands on that no promise covers. A family
    that is not installed here adds nothing."""
    parts, package = [spec.privacy.statement], spec.family.package
    with suppress(UnknownFamily):
        parts.append(family_of(spec).uncovered(spec))
    if package is not None and spec.privacy.mode is PrivacyMode.SOUND:
        parts.append(f"if the package {package.name} {package.version} trains as it says")
    return "; ".join(part for part in parts if part)


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


def app_family_of(spec: Specification) -> AppFamily[Any]:
    """The specification's family; raises SpecificationError if no app trains its models."""
    found = family_of(spec)
    if not isinstance(found, AppFamily):
        raise SpecificationError(
            f"model family {spec.family.name!r} is not a Flower app: it has no groups"
        )
    return found


def represented(spec: Specification, data: Dataset, folder: Path | None = None) -> Dataset:
    """The data set in the form that its family trains on and predicts fastest; data already in that
    form are unchanged. Expensive results are cached in `folder`, if one is given."""
    found, declared = family_of(spec), data.declared_units
    if not found.represents(spec, len(data) if declared is None else declared):
        return data
    return replace(data, x=found.represented(spec, data.x, folder))
