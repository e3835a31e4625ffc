"""Local training: steps along sums of gradients (DP-SGD under `sound`), mini-batch SGD in epochs,
or construction in one go; under mode `paper` with the papers' noise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs, Targets
from fedpact.errors import InvalidInput, PrivacyError
from fedpact.learning.artefact import Model, bounded, clipped
from fedpact.learning.checks import check_dataset
from fedpact.learning.devices import prepare
from fedpact.learning.families import (
    app_family_of,
    constructed_family_of,
    family_of,
    gradient_family_of,
)
from fedpact.learning.families.base import Construction, Weights
from fedpact.learning.strategies import Correction
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.unit_clipping import (
    ExampleNorms,
    ExampleSums,
    UnitSum,
    clipped_unit_sum,
    clipping_bound,
)
from fedpact.learning.units import Batch, one_per_unit, samples_of
from fedpact.learning.update_bounds import step_factors
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.privacy.quantile import QuantileClipping
from fedpact.types.local_training import LocalApp, LocalConstruction, LocalEpochs, LocalSteps
from fedpact.types.privacy import PaperMechanism, PrivacyMode
from fedpact.types.specification import Specification

ProgressCallback = Callable[[int, int], None]
"""Called with (step, steps) after each step."""


def train_local(training: LocalTraining, on_step: ProgressCallback | None = None) -> Model:
    """The local model after the specification's local training.

    In a round that gathers statistics nothing is trained: the model holds their means over the
    data set, noised under `sound`.

    Under `sound` nothing fails on a record, and the model's values are within its template: an
    example that cannot be used, or whose gradient is not finite, counts as zero; of several
    examples of one unit a family that constructs its models takes the first; no examples at all
    give noise (docs/adr/0030).

    Raises:
        DataError: without `sound`, an empty data set, or examples that the family cannot take.
        PrivacyError: `sound` or `paper` without a source of noise.
        InvalidInput: no `round_and_seat` where it is needed.
    """
    spec, noise = training.spec, training.noise
    if spec.privacy.sum is not None:
        raise InvalidInput("under a secure sum no member trains alone: its part is summed (ADR 48)")
    prepare(training.device)
    made = {LocalConstruction: _constructed, LocalApp: _by_app}.get(type(spec.local))
    if spec.privacy.mode is not PrivacyMode.NONE and noise is None:
        raise PrivacyError(f"privacy mode {spec.privacy.mode} needs a source of noise")
    if spec.privacy.mode is PrivacyMode.SOUND:
        with np.errstate(all="ignore"):  # warnings would tell of records
            return _trained(training, on_step) if made is None else made(training)
    check_dataset(spec, training.dataset)
    if made is not None:
        return made(training)
    if noise is not None and spec.privacy.mechanism is PaperMechanism.LAPLACE:
        from fedpact.learning.laplace_noise import noised_data, noised_model

        vectors = noised_data(spec, training.dataset, training.data_noise)
        return noised_model(spec, _trained(replace(training, dataset=vectors), on_step), noise)
    return _trained(training, on_step)


def _constructed(training: LocalTraining) -> Model:
    spec, dataset = training.spec, training.dataset
    if spec.privacy.mode is PrivacyMode.SOUND:
        dataset = one_per_unit(spec, dataset)
    return constructed_family_of(spec).construct(spec, _given(training, dataset))


def _by_app(training: LocalTraining) -> Model:
    return app_family_of(training.spec).trained(training.spec, _given(training, training.dataset))


def _given(training: LocalTraining, dataset: Dataset) -> Construction:
    if training.round_and_seat is None:
        raise InvalidInput("construction needs the round and the seat: they fix its draws")
    return Construction(
        training.start, dataset, training.round_and_seat, training.noise, training.data_noise
    )


def _trained(training: LocalTraining, on_step: ProgressCallback | None) -> Model:
    spec, round_and_seat = training.spec, training.round_and_seat
    model_family = family_of(spec)
    by_round = bool(model_family.statistics) or not isinstance(spec.local, LocalSteps)
    if round_and_seat is None and by_round:
        raise InvalidInput("local training needs the round and the seat: they fix its draws")
    source = training.noise if training.noise is not None else SystemNoise()
    if round_and_seat is not None and model_family.gathers(round_and_seat[0]):
        return _with_statistics(spec, training.start, training.dataset, source)
    if isinstance(spec.local, LocalSteps):
        return _steps(training, spec.local, source, on_step)
    assert round_and_seat is not None
    assert isinstance(spec.local, LocalEpochs)
    from fedpact.learning.epochs import Gradients, MeanLoss, train_epochs

    gradients: Gradients = MeanLoss(spec)
    if training.noise is not None and spec.privacy.mechanism in (
        PaperMechanism.DP_SGD,
        PaperMechanism.DDP_SGD,
    ):
        from fedpact.learning.ddp_sgd import PaperGradients

        gradients = PaperGradients(spec, spec.local, len(training.dataset), training.noise)
    order = batch_order(spec.local, *round_and_seat)
    return train_epochs(training, spec.local, order, gradients, on_step)


def batch_order(local: LocalEpochs, round_number: int, seat: int) -> np.random.Generator:
    """The generator that shuffles a provider's examples in a round: the same in daemon and
    simulator."""
    seeds = np.random.SeedSequence([local.shuffle_seed, round_number, seat])
    return np.random.Generator(np.random.PCG64(seeds))


def reach(spec: Specification, samples: int) -> float:
    """How far a constant gradient of length 1 would move the model in one local training."""
    local = spec.local
    if isinstance(local, LocalConstruction | LocalApp):
        return 0.0
    return sum(step_factors(local.steps_for(samples), local.learning_rate, local.momentum))


def _steps(
    training: LocalTraining,
    local: LocalSteps,
    source: NoiseSource,
    on_step: ProgressCallback | None,
) -> Model:
    """Training in steps.

    One step under `sound` (Abadi et al. 2016, algorithm 1): the mean gradients of the units that
    take part, each clipped to norm C, are summed, noised with standard deviation z * C on each
    value, and divided by sampling_rate * n. That is a fixed number, since the number of units n is
    public; it is never the size of the drawn batch. Under `none`: the same over examples, without
    clipping and noise. Velocity v = momentum * v + g, zero at the start of each round;
    w = w - learning_rate * v. A norm that follows a quantile changes from step to step.
    Under `sound` weights are clipped to what the template allows after each step: post-processing.
    """
    spec, correction = training.spec, training.correction
    samples = samples_of(spec, training.dataset)
    divisor, everything = local.sampling_rate * samples, Batch.of(spec, training.dataset)
    sound = spec.privacy.mode is PrivacyMode.SOUND
    if sound:
        everything = everything.in_random_order(source, samples)
    largest = family_of(spec).template(spec).largest
    start = bounded(training.start, largest) if sound else training.start
    weights = {name: values.astype(np.float64) for name, values in start.items()}
    velocity = {name: np.zeros_like(values) for name, values in weights.items()}
    adaptive, norm = QuantileClipping.of(spec.privacy), spec.privacy.clipping_norm
    for step in range(local.steps):
        batch = _sample(everything, samples, local.sampling_rate, source)
        gradient, share = noised_step(spec, weights, batch, norm, divisor, source, training.device)
        if adaptive is not None and norm is not None and share is not None:
            norm = adaptive.next_norm(norm, share)
        for name in sorted(gradient):
            along = gradient[name] / divisor
            if correction is not None:
                along += _corrected(correction, name, weights[name])
            velocity[name] = local.momentum * velocity[name] + along
            weights[name] -= local.learning_rate * velocity[name]
            if sound:
                weights[name] = clipped(weights[name], largest)
        if on_step is not None:
            on_step(step + 1, local.steps)
    return {name: values.astype(np.float32) for name, values in weights.items()}


def _corrected(
    correction: Correction, name: str, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    found = np.zeros_like(weights)
    if correction.anchor is not None:
        found += correction.proximal * (weights - correction.anchor[name])
    if correction.shift is not None:
        found += correction.shift[name]
    return found


def _sample(batch: Batch, units: int, rate: float, source: NoiseSource) -> Batch:
    """Each unit independently with probability `rate` (Poisson sampling), in a new random order;
    at rate 1 the batch itself."""
    if rate == 1.0:
        return batch
    uniform = np.ldexp((source.words(units) >> np.uint64(11)).astype(np.float64), -53)
    return batch.of_units(uniform < rate, source.words(units))


def noised_step(
    spec: Specification,
    weights: Weights,
    batch: Batch,
    norm: float | None,
    expected_units: float,
    source: NoiseSource,
    device: str = "cpu",
) -> tuple[Weights, float | None]:
    """Everything that a step releases: the noised sum of the gradients clipped to `norm` and, where
    the norm follows a quantile, the noised share of the units whose gradient is within it."""
    model_family, adaptive = gradient_family_of(spec).on(device), QuantileClipping.of(spec.privacy)

    def sums(x: Inputs, y: Targets, bound: float | None) -> Weights:
        return model_family.gradient_sum(spec, weights, x, y, bound)

    def norms(x: Inputs, y: Targets) -> NDArray[np.float64]:
        return model_family.gradient_norms(spec, weights, x, y)

    size = model_family.template(spec).parameters
    if adaptive is None or norm is None:
        found = _noised(batch, sums, size, norm, spec.privacy.noise_multiplier, source)
        return found.total, None
    found = _noised(batch, sums, size, norm, adaptive.gradient_multiplier, source, norms)
    return found.total, adaptive.noised_share(found.norms, norm, expected_units, source)


def _with_statistics(
    spec: Specification, start: Model, dataset: Dataset, source: NoiseSource
) -> Model:
    model_family = gradient_family_of(spec)

    def sums(x: Inputs, _: Targets, bound: float | None) -> Weights:
        return model_family.statistics_sum(spec, x, bound)

    batch, samples = Batch.of(spec, dataset), samples_of(spec, dataset)
    if spec.privacy.mode is PrivacyMode.SOUND:
        batch = batch.in_random_order(source, samples)
    found = _noised(
        batch,
        sums,
        model_family.template(spec).parameters,
        model_family.statistics_norm,
        spec.privacy.statistics_multiplier,
        source,
    )
    largest = model_family.template(spec).largest
    means = {
        name: clipped(total / samples, largest).astype(np.float32)
        for name, total in found.total.items()
    }
    return {**start, **means}


def _noised(
    batch: Batch,
    sums: ExampleSums,
    size: int,
    norm: float | None,
    multiplier: float | None,
    source: NoiseSource,
    norms: ExampleNorms | None = None,
) -> UnitSum:
    """`sums` over the batch's units, each clipped to `norm`, with noise of standard deviation
    multiplier * norm on each of at most `size` values. Without a multiplier: neither clipped nor
    noised. The norms of the result, if `norms` is given, are those before clipping."""
    if norm is None or multiplier is None:
        return UnitSum(sums(*batch.examples, None), np.empty(0))
    std = norm * multiplier
    clipped = clipped_unit_sum(batch, clipping_bound(norm, multiplier, size), sums, norms)
    noised = {name: source.add(clipped.total[name], std) for name in sorted(clipped.total)}
    return UnitSum(noised, clipped.norms)
