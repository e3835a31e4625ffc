"""One round's release as integers that add up, and the model that follows from their sum.

Of families that descend a gradient, in one step of all units a round (or in the means of a
statistics round), and of those that construct a model from one sum (class sums, counts in leaves).
A member's release is one noised sum, and so is a group's. All members' values and noise lie on one
lattice (`privacy.noise`), so that their integers are added exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import InvalidInput, PrivacyError, SpecificationError
from fedpact.learning.artefact import Model, bounded, clipped
from fedpact.learning.devices import prepare
from fedpact.learning.families import SummedFamily, family_of, gradient_family_of
from fedpact.learning.families.base import GradientFamily, Weights
from fedpact.learning.noise_bounds import chi_upper
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.unit_clipping import clipped_unit_sum, clipping_bound
from fedpact.learning.units import Batch, one_per_unit, samples_of
from fedpact.learning.update_bounds import update_norm
from fedpact.privacy.noise import NoiseSource, from_half_steps
from fedpact.types.local_training import LocalApp, LocalSteps
from fedpact.types.specification import Specification

Integers = NDArray[np.int64]

_FLOAT32_MARGIN = 1e-5


def check_summed(spec: Specification) -> None:
    """Raise SpecificationError unless what a member releases in a round is one noised sum."""
    local, family = spec.local, family_of(spec)
    if isinstance(family, SummedFamily):
        return
    if not isinstance(family, GradientFamily) or not isinstance(local, LocalSteps):
        raise SpecificationError(
            f"privacy.sum: family {spec.family.name}: {_no_sum(spec)}. Choose a family that "
            "descends a gradient with local.steps = 1, class sums or a random forest, or leave "
            "out privacy.sum"
        )
    if (local.steps, local.sampling_rate) != (1, 1.0):
        raise SpecificationError(
            f"privacy.sum: local.steps {local.steps} at sampling_rate {local.sampling_rate:g}: a "
            "secure sum is of one step of all units a round"
        )


def _no_sum(spec: Specification) -> str:
    """Why members of the request cannot make secure sums."""
    if isinstance(spec.local, LocalApp):
        return (
            "an app measures a slice as a whole, and what a group's sum is worth is measured by "
            "examples"
        )
    return "what it constructs from a member's data cannot be added to what others construct"


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
    family = family_of(spec)
    if isinstance(family, SummedFamily):
        return family.sum_size(spec)
    return _Summed.of(spec, round_number).size


def member_integers(training: LocalTraining) -> Integers:
    """A member's noised sum in whole half steps of its noise, (summed_values,).

    As `train_local` under `sound`: nothing fails on a record. Raises PrivacyError without a source
    of noise, InvalidInput without `round_and_seat`.
    """
    spec, source = training.spec, training.noise
    if source is None or training.round_and_seat is None:
        raise PrivacyError("a secure sum needs a source of noise, and the round")
    family = family_of(spec)
    if isinstance(family, SummedFamily):
        with np.errstate(all="ignore"):  # warnings would tell of records
            values = family.summed(spec, one_per_unit(spec, training.dataset))
            return source.add_integers(values, family.sum_std(spec))
    return _gradient_integers(training, source, training.round_and_seat[0])


def _gradient_integers(training: LocalTraining, source: NoiseSource, round_number: int) -> Integers:
    spec = training.spec
    prepare(training.device)
    family = gradient_family_of(spec).on(training.device)
    summed = _Summed.of(spec, round_number)
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
    spec: Specification,
    round_number: int,
    start: Model,
    total: Integers,
    samples: Sequence[int],
) -> Model:
    """The model of members with `samples` declared units, one number each, whose integers sum to
    `total`.

    Bit for bit the same for all who compute it. Raises InvalidInput for another number of values.
    """
    size, family = summed_values(spec, round_number), family_of(spec)
    if total.shape != (size,):
        raise InvalidInput(f"a sum of {total.size} values, a round's has {size}")
    if isinstance(family, SummedFamily):
        values = from_half_steps(total, family.sum_std(spec))
        return family.of_sum(spec, values, len(samples))
    summed = _Summed.of(spec, round_number)
    means = from_half_steps(total, summed.std) / sum(samples)
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


def plausible_group(
    spec: Specification, round_number: int, start: Model, model: Model, samples: Sequence[int]
) -> bool:
    """Whether honest members with `samples` units, one number each, can have made this model
    together from `start`; their noise exceeds each bound with probability 10^-9 at most."""
    family = family_of(spec)
    if isinstance(family, SummedFamily):
        return family.plausible_sum(spec, model, len(samples), sum(samples))
    most = _largest_move(spec, round_number, len(samples), sum(samples))
    return update_norm(start, model) <= most


def _largest_move(spec: Specification, round_number: int, members: int, units: int) -> float:
    """In L2, of members with `units` units in all together."""
    summed = _Summed.of(spec, round_number)
    noise = summed.std * math.sqrt(members) * chi_upper(summed.size)
    longest = (units * summed.norm + noise) / units * (1 + _FLOAT32_MARGIN)
    if family_of(spec).gathers(round_number):
        return longest
    assert isinstance(spec.local, LocalSteps)
    return spec.local.learning_rate * longest
