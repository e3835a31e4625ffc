"""What must hold before any work: of a specification, and of own data under it."""

from collections import Counter

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, SpecificationError
from fedpact.learning.families import family
from fedpact.learning.strategies import strategy
from fedpact.types.specification import PrivacyMode, Specification


def check_specification(spec: Specification) -> None:
    """Raise SpecificationError for what family, strategy or rule cannot do."""
    family(spec.family.name).check(spec)
    plan = strategy(spec.strategy)
    if plan.remembers and family(spec.family.name).statistics:
        raise SpecificationError(
            f"strategy {spec.strategy.name} starts from a provider's earlier models, family "
            f"{spec.family.name} from statistics that all have in common: choose another strategy"
        )


def check_published(spec: Specification) -> None:
    """`check_specification`, and that the strategy can run through the chain."""
    check_specification(spec)
    if not strategy(spec.strategy).published:
        raise SpecificationError(
            f"strategy {spec.strategy.name} keeps what nobody publishes: it runs in simulations "
            "only, not through the chain"
        )


def check_dataset(spec: Specification, dataset: Dataset) -> None:
    """Raise DataError for data that cannot be trained on, SpecificationError where the
    specification's privacy does not hold for them.

    Under `sound` each example is clipped by itself, so a unit must have one example. The same
    record twice is two records; several examples cut from one unit (windows of an engine) are not.
    """
    if not len(dataset):
        raise DataError("cannot train on an empty data set")
    family(spec.family.name).check_examples(spec, dataset.x)
    if spec.privacy.mode is not PrivacyMode.SOUND:
        return
    counts = Counter(dataset.units)
    first: dict[bytes, int] = {}
    for place, unit in enumerate(dataset.units):
        if counts[unit] == 1:
            continue
        if not np.array_equal(dataset.x[first.setdefault(unit, place)], dataset.x[place]):
            raise SpecificationError(
                f"privacy mode sound: example {place + 1} is one of {counts[unit]} of its unit, "
                f"and family {spec.family.name} bounds what one example adds, not one unit: give "
                "one example a unit, or join requests without privacy"
            )
