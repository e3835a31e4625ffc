"""One round's release as integers that add up, and the model that follows from their sum.

For families that descend a gradient, in one step of all units a round (or in the means of a
statistics round): a member's release is one noised sum, and so is a group's. All members' values
and noise lie on one lattice (`privacy.noise`), so that their integers are added exactly.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import InvalidInput, PrivacyError, SpecificationError
from fedpact.learning.artefact import Model, bounded, clipped
from fedpact.learning.families import family_of, gradient_family_of
from fedpact.learning.families.base import GradientFamily, Weights
from fedpact.learning.tails import chi_upper
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.units import Batch, clipped_unit_sum, clipping_bound, samples_of
from fedpact.privacy.noise import from_half_steps
from fedpact.types.local_training import LocalSteps
from fedpact.types.specification import Specification

Integers = NDArray[np.int64]

_FLOAT32_MARGIN = 1e-5


def check_summed(spec: Specification) -> None:
    """Raise SpecificationError unless what a member releases in a round is one noised sum."""
    local = spec.local
    if not isinstance(family_of(spec), GradientFamily) or not isinstance(local, LocalSteps):
        raise SpecificationError(
            f"privacy.sum: family {spec.family.name} does not descend a gradient in steps: what a "
            "member releases is not one sum that others can be added to"
        )
    if (local.steps, local.sampling_rate) != (1, 1.0):
        raise SpecificationError(
            f"privacy.sum: local.steps {local.steps} at sampling_rate {local.sampling_rate:g}: a "
            "secure sum is of one step of all units a round"
        )


@dataclass(frozen=True)
class _Summed:
    """What is summed in a round: values of these tensors, with a norm and a part of the noise."""

    norm: float
    multiplier: float
    shapes: dict[str, tuple[int, ...]]
    """By name, sorted."""

    @classmethod
    def of(cls, spec: Specification, round_number: int) -> "_Summed":
        family, privacy = family_of(spec), spec.privacy
        shapes = dict(sorted(family.moved(spec, round_number).items()))
        gathers = family.gathers(round_number)
        norm = family_norm(spec) if gathers else privacy.clipping_norm
        multiplier = privacy.statistics_multiplier if gathers else privacy.noise_multiplier
        if norm is None or multiplier is None:
            raise InvalidInput("a secure sum needs a clipping norm and noise")
        return cls(norm, multiplier, shapes)

    @property
    def std(self) -> float:
        return self.norm * self.multiplier

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())


def family_norm(spec: Specification) -> float:
    """Of an example's contribution to a statistics round."""
    return gradient_family_of(spec).statistics_norm


def summed_values(spec: Specification, round_number: int) -> int:
    """How many integers a member's vector has in a round."""
    return _Summed.of(spec, round_number).size


def member_integers(training: LocalTraining) -> Integers:
    """A member's noised sum in whole half steps of its noise, (summed_values,).

    As `train_local` under `sound`: nothing fails on a record. Raises PrivacyError without a source
    of noise, InvalidInput without `round_and_seat`.
    """
    spec, source = training.spec, training.noise
    if source is None or training.round_and_seat is None:
        raise PrivacyError("a secure sum needs a source of noise, and the round")
    round_number = training.round_and_seat[0]
    family, summed = gradient_family_of(spec), _Summed.of(spec, round_number)
    start = bounded(training.start, family.template(spec).largest)
    weights = {name: values.astype(np.float64) for name, values in start.items()}
    gathers = family.gathers(round_number)

    def sums(x: Inputs, y: Targets, bound: float | None) -> Weights:
        if gathers:
            return family.statistics_sum(spec, x, bound)
        return family.gradient_sum(spec, weights, x, y, bound)

    batch = Batch.of(spec, training.dataset)
    batch = batch.in_random_order(source, samples_of(spec, training.dataset))
    bound = clipping_bound(summed.norm, summed.multiplier, family.template(spec).parameters)
    with np.errstate(all="ignore"):  # warnings would tell of records
        total = clipped_unit_sum(batch, bound, sums, None).total
        parts = [
            source.add_integers(np.asarray(total[name]).reshape(-1), summed.std)
            for name in summed.shapes
        ]
    return np.concatenate(parts)


def group_model(
    spec: Specification, round_number: int, start: Model, total: Integers, units: int
) -> Model:
    """The model of members with `units` declared units in all, whose integers sum to `total`.

    Bit for bit the same for all who compute it. Raises InvalidInput for another number of values.
    """
    summed, family = _Summed.of(spec, round_number), family_of(spec)
    if total.shape != (summed.size,):
        raise InvalidInput(f"a sum of {total.size} values, a round's has {summed.size}")
    means = from_half_steps(total, summed.std) / units
    largest = family.template(spec).largest
    begin = bounded(start, largest)
    found, at = dict(begin), 0
    for name, shape in summed.shapes.items():
        size = math.prod(shape)
        mean = means[at : at + size].reshape(shape)
        at += size
        if family.gathers(round_number):
            found[name] = clipped(mean, largest).astype(np.float32)
        else:
            assert isinstance(spec.local, LocalSteps)
            moved = begin[name].astype(np.float64) - spec.local.learning_rate * mean
            found[name] = clipped(moved, largest).astype(np.float32)
    return found


def largest_move(spec: Specification, round_number: int, members: int, units: int) -> float:
    """How far, in L2, honest members with `units` units in all can move a model together; their
    noise exceeds it with probability 10^-9 at most."""
    summed = _Summed.of(spec, round_number)
    noise = summed.std * math.sqrt(members) * chi_upper(summed.size)
    longest = (units * summed.norm + noise) / units * (1 + _FLOAT32_MARGIN)
    if family_of(spec).gathers(round_number):
        return longest
    assert isinstance(spec.local, LocalSteps)
    return spec.local.learning_rate * longest
