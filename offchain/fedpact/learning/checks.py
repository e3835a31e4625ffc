"""Checks before any work: of a specification, and of a provider's data under it."""

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, PrivacyError, SpecificationError
from fedpact.learning.families import family_of
from fedpact.learning.strategies import strategy
from fedpact.learning.summed_release import check_summed
from fedpact.learning.units import first_of_units
from fedpact.privacy.accounting import VALUES_BITS, exact_demand
from fedpact.privacy.noise import rounding_sensitivity
from fedpact.privacy.quantile import QuantileClipping
from fedpact.types.local_training import LocalConstruction
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import ScoreKind, Specification

SUMMED_STRATEGIES = ("fedavg", "fedavgm", "ditto")
"""Those that need nothing of a member but its update."""
MAX_ROUNDING = 0.5
"""Of the clipping norm: what rounding to the noise's lattice may take."""


def check_specification(spec: Specification) -> None:
    """Raise SpecificationError if its family, strategy or rule cannot do what it asks for."""
    family_of(spec).check(spec)
    _check_noise(spec)
    plan = strategy(spec.strategy)
    if spec.privacy.sum is not None:
        _check_sum(spec)
    if (plan.remembers or plan.personalises) and family_of(spec).statistics:
        raise SpecificationError(
            f"strategy {spec.strategy.name} starts from a provider's earlier models, but family "
            f"{spec.family.name} starts from statistics that all share: choose another strategy"
        )


def _check_sum(spec: Specification) -> None:
    """Raise SpecificationError for what a secure sum cannot be combined with."""
    check_summed(spec)
    needs = {
        f"strategy {spec.strategy.name} needs members' own models": spec.strategy.name
        not in SUMMED_STRATEGIES,
        f"aggregation {spec.aggregation.name} needs members' own models": (
            family_of(spec).moves and spec.aggregation.name != "weighted-mean"
        ),
        'score must be "contribution": groups are judged, not models': spec.score
        is not ScoreKind.CONTRIBUTION,
        f"min_providers {spec.min_providers} make no group of {spec.privacy.group}": (
            spec.min_providers < (spec.privacy.group or 0)
        ),
    }
    for reason, broken in needs.items():
        if broken:
            raise SpecificationError(f"privacy.sum: {reason}")


def _check_noise(spec: Specification) -> None:
    """Raise SpecificationError for noise whose lattice is too coarse for the model's size."""
    adaptive = QuantileClipping.of(spec.privacy)
    multipliers = [spec.privacy.noise_multiplier, spec.privacy.statistics_multiplier]
    if adaptive is not None:
        multipliers.append(adaptive.gradient_multiplier)
    largest = max((one for one in multipliers if one is not None), default=0.0)
    if spec.privacy.mode is not PrivacyMode.SOUND:
        return
    values = family_of(spec).template(spec).parameters
    if values >= 2**VALUES_BITS:
        raise SpecificationError(
            f"a model of {values} values: under privacy mode sound it has fewer than "
            f"2^{VALUES_BITS}, since the noise's own error is proven for so many"
        )
    if spec.privacy.epsilon is not None and spec.privacy.delta is not None:
        try:
            exact_demand(spec.privacy.epsilon, spec.privacy.delta)
        except PrivacyError as error:
            raise SpecificationError(str(error)) from error
    if isinstance(spec.local, LocalConstruction):
        return
    if rounding_sensitivity(values, largest) > MAX_ROUNDING:
        raise SpecificationError(
            f"noise multiplier {largest:g} is too large for a model of {values} values: rounding "
            "would take up the clipping norm"
        )


def check_published(spec: Specification) -> None:
    """`check_specification`, and that the strategy can run through the chain."""
    check_specification(spec)
    if not strategy(spec.strategy).published:
        raise SpecificationError(
            f"strategy {spec.strategy.name} keeps values that nobody publishes: it runs in "
            "simulations only, not through the chain"
        )


def check_dataset(spec: Specification, dataset: Dataset) -> None:
    """Raise DataError for data that cannot be trained on, SpecificationError if the specification's
    privacy does not hold for them. For owners of data, and for training without `sound`: training
    under `sound` does not fail on a record.

    A family that constructs its models bounds what one example adds, so it takes one example per
    unit. Others take any number (`learning.units`).
    """
    if not len(dataset):
        raise DataError("cannot train on an empty data set")
    family_of(spec).check_examples(spec, dataset.x)
    constructs = isinstance(spec.local, LocalConstruction)
    if spec.privacy.mode is not PrivacyMode.SOUND or not constructs:
        return
    first = first_of_units(dataset)
    for row, number in enumerate(dataset.unit_numbers):
        if not np.array_equal(dataset.x[first[number]], dataset.x[row]):
            raise SpecificationError(
                f"privacy mode sound: example {row + 1} is not the only one of its unit, but "
                f"family {spec.family.name} bounds what one example adds, not one unit: give each "
                "unit one example, or join requests without privacy"
            )
