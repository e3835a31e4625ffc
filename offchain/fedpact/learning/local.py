"""Local training: steps along sums of gradients (DP-SGD under `sound`), or mini-batch SGD, under
mode `paper` with the papers' noise."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs, Targets
from fedpact.errors import InvalidInput, PrivacyError
from fedpact.learning.artefact import Model
from fedpact.learning.bounds import step_factors
from fedpact.learning.checks import check_dataset
from fedpact.learning.families import constructed_family_of, family_of, gradient_family_of
from fedpact.learning.families.base import Construction, Weights
from fedpact.learning.strategies import Correction
from fedpact.learning.units import (
    Batch,
    ExampleNorms,
    ExampleSums,
    UnitSum,
    clipped_unit_sum,
    first_of_units,
    samples_of,
)
from fedpact.privacy.noise import NoiseSource, SystemNoise, rounding_sensitivity
from fedpact.privacy.quantile import QuantileClipping
from fedpact.types.specification import (
    LocalConstruction,
    LocalEpochs,
    LocalSteps,
    PaperMechanism,
    PrivacyMode,
    Specification,
)

CLIPPING_MARGIN = 1e-6
"""Part of the clipping norm left unused, so that rounding never lifts a gradient above it."""

ProgressCallback = Callable[[int, int], None]


def train_local(
    spec: Specification,
    start: Model,
    dataset: Dataset,
    *,
    noise: NoiseSource | None,
    data_noise: NoiseSource | None = None,
    batches_of: tuple[int, int] | None = None,
    correction: Correction | None = None,
    device: str = "cpu",
    on_step: ProgressCallback | None = None,
) -> Model:
    """The local model after the specification's local training from `start`.

    Args:
        noise: where noise and sampling come from; None only under privacy mode `none`.
        data_noise: where mode `paper` takes Laplace noise on the data from; the same bits in all
            rounds.
        batches_of: (round, seat), which with the specification's seed fix the batches and other
            draws that are no noise; all but training in steps needs it, and a family whose first
            round gathers statistics.
        correction: what a strategy adds to each step's gradient, after clipping and noise.
        device: torch's name of where to train in epochs; steps are always on the processor.
        on_step: told (step, steps) after each step.

    Where the round gathers statistics, their means over the data set stand in the model, noised
    under `sound`, and nothing is trained.

    Raises:
        DataError: an empty data set, or examples that the family cannot take.
        SpecificationError: `sound` where the family cannot take several examples of one unit.
        PrivacyError: `sound` or `paper` without a source of noise.
        InvalidInput: no `batches_of` where it is needed.
    """
    check_dataset(spec, dataset)
    if spec.privacy.mode is not PrivacyMode.NONE and noise is None:
        raise PrivacyError(f"privacy mode {spec.privacy.mode} needs a source of noise")
    if isinstance(spec.local, LocalConstruction):
        if batches_of is None:
            raise InvalidInput("construction needs the round and the seat that fix its draws")
        constructed = constructed_family_of(spec)
        if spec.privacy.mode is PrivacyMode.SOUND:
            dataset = _one_a_unit(dataset)
        return constructed.construct(
            spec, Construction(start, dataset, batches_of, noise, data_noise)
        )
    if noise is not None and spec.privacy.mechanism is PaperMechanism.LAPLACE:
        from fedpact.learning.paper_training import noised_data, noised_model

        vectors = noised_data(spec, dataset, data_noise)
        model = _trained(spec, start, vectors, noise, batches_of, correction, device, on_step)
        return noised_model(spec, model, noise)
    return _trained(spec, start, dataset, noise, batches_of, correction, device, on_step)


def _trained(
    spec: Specification,
    start: Model,
    dataset: Dataset,
    noise: NoiseSource | None,
    batches_of: tuple[int, int] | None,
    correction: Correction | None,
    device: str,
    on_step: ProgressCallback | None,
) -> Model:
    model_family = family_of(spec)
    by_round = bool(model_family.statistics) or not isinstance(spec.local, LocalSteps)
    if batches_of is None and by_round:
        raise InvalidInput("local training needs the round and the seat that fix its draws")
    source = noise if noise is not None else SystemNoise()
    if batches_of is not None and model_family.gathers(batches_of[0]):
        return _with_statistics(spec, start, dataset, source)
    if isinstance(spec.local, LocalSteps):
        return _steps(spec, spec.local, start, dataset, source, correction, on_step)
    assert batches_of is not None
    assert isinstance(spec.local, LocalEpochs)
    from fedpact.learning.epochs import Gradients, MeanLoss, train_epochs

    gradients: Gradients = MeanLoss(spec)
    if noise is not None and spec.privacy.mechanism in (
        PaperMechanism.DP_SGD,
        PaperMechanism.DDP_SGD,
    ):
        from fedpact.learning.paper_training import PaperGradients

        gradients = PaperGradients(spec, spec.local, len(dataset), noise)
    generator = batch_order(spec.local, *batches_of)
    return train_epochs(
        spec, spec.local, start, dataset, generator, gradients, correction, device, on_step
    )


def batch_order(local: LocalEpochs, round_number: int, seat: int) -> np.random.Generator:
    """What shuffles one provider's examples in one round: the same in daemon and simulator."""
    seeds = np.random.SeedSequence([local.shuffle_seed, round_number, seat])
    return np.random.Generator(np.random.PCG64(seeds))


def reach(spec: Specification, samples: int) -> float:
    """How far a constant gradient of length 1 would move the model in one local training."""
    local = spec.local
    if isinstance(local, LocalConstruction):
        return 0.0
    return sum(step_factors(local.steps_for(samples), local.learning_rate, local.momentum))


def _steps(
    spec: Specification,
    local: LocalSteps,
    start: Model,
    dataset: Dataset,
    source: NoiseSource,
    correction: Correction | None,
    on_step: ProgressCallback | None,
) -> Model:
    """One step under `sound` (Abadi et al. 2016, algorithm 1): the mean gradients of the units that
    take part, each clipped to norm C, are summed, noised with standard deviation z * C on each
    value, and divided by sampling_rate * n, a fixed number since the number of units n is public;
    never by the size of the drawn batch. `none`: the same over examples, without clipping and
    noise. Velocity v = momentum * v + g, zero at the start of each round;
    w = w - learning_rate * v. A norm that follows a quantile moves from step to step.
    """
    samples = samples_of(spec, dataset)
    divisor, everything = local.sampling_rate * samples, Batch.of(spec, dataset)
    weights = {name: values.astype(np.float64) for name, values in start.items()}
    velocity = {name: np.zeros_like(values) for name, values in weights.items()}
    adaptive, norm = QuantileClipping.of(spec.privacy), spec.privacy.clipping_norm
    for step in range(local.steps):
        batch = _sample(everything, samples, local.sampling_rate, source)
        gradient, share = noised_step(spec, weights, batch, norm, divisor, source)
        if adaptive is not None and norm is not None and share is not None:
            norm = adaptive.next_norm(norm, share)
        for name in sorted(gradient):
            along = gradient[name] / divisor
            if correction is not None:
                along += _corrected(correction, name, weights[name])
            velocity[name] = local.momentum * velocity[name] + along
            weights[name] -= local.learning_rate * velocity[name]
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
    """Each unit by itself with probability `rate` (Poisson sampling), in random order; all of them
    at rate 1.

    The order is for what rounds within blocks of examples (docs/privacy.md): without one of them,
    the others stand as they would in some order, but for one that has taken its place.
    """
    if rate == 1.0:
        return batch
    uniform = np.ldexp((source.words(units) >> np.uint64(11)).astype(np.float64), -53)
    return batch.of_units(uniform < rate, source.words(units))


def _one_a_unit(dataset: Dataset) -> Dataset:
    places = first_of_units(dataset)
    units = tuple(dataset.units[place] for place in places) if dataset.units else ()
    return Dataset(dataset.x[places], dataset.y[places], units)


def noised_step(
    spec: Specification,
    weights: Weights,
    batch: Batch,
    norm: float | None,
    expected_units: float,
    source: NoiseSource,
) -> tuple[Weights, float | None]:
    """All that a step releases: the noised sum of gradients clipped to `norm` and, where the norm
    follows a quantile, the noised share of the units whose gradient is within it."""
    model_family, adaptive = gradient_family_of(spec), QuantileClipping.of(spec.privacy)

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

    found = _noised(
        Batch.of(spec, dataset),
        sums,
        model_family.template(spec).parameters,
        model_family.statistics_norm,
        spec.privacy.statistics_multiplier,
        source,
    )
    samples = samples_of(spec, dataset)
    means = {name: (total / samples).astype(np.float32) for name, total in found.total.items()}
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
    """`sums` over the batch's units, each clipped to `norm`, `size` values at most, with noise of
    standard deviation multiplier * norm on each; without a multiplier neither clipped nor noised.
    The `norms`, where they are asked for, are raw."""
    if norm is None or multiplier is None:
        return UnitSum(sums(batch.x, batch.y, None), np.empty(0))
    std = norm * multiplier
    bound = norm * (1 - CLIPPING_MARGIN) - rounding_sensitivity(size, std)
    if bound <= 0:
        raise PrivacyError(f"noise multiplier {multiplier:g} is too large to be drawn safely")
    clipped = clipped_unit_sum(batch, bound, sums, norms)
    noised = {name: source.add(clipped.total[name], std) for name in sorted(clipped.total)}
    return UnitSum(noised, clipped.norms)
