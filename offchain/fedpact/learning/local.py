"""Local training: gradient descent, under `sound` with clipped and noised gradients (DP-SGD)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, PrivacyError, SpecificationError
from fedpact.learning.artefact import Model
from fedpact.learning.families import family
from fedpact.privacy.noise import NoiseSource, SystemNoise, rounding_sensitivity
from fedpact.types.specification import LocalSteps, PrivacyMode, Specification

CLIPPING_MARGIN = 1e-6
"""Part of the clipping norm left unused, so that rounding never lifts a gradient above it."""


def train_local(
    spec: Specification,
    start: Model,
    dataset: Dataset,
    *,
    noise: NoiseSource | None,
    on_step: Callable[[int, int], None] | None = None,
) -> Model:
    """The local model after `spec.local.steps` steps from the global model `start`.

    One step under `sound` (Abadi et al. 2016, algorithm 1): gradients of the records that take
    part, each clipped to norm C, are summed, noised with standard deviation z * C on each value,
    and divided by sampling_rate * n, a fixed number since n is public; never by the size of the
    drawn batch. `none`: the same without clipping and noise. Velocity v = momentum * v + g, zero
    at the start of each round; w = w - learning_rate * v.

    Args:
        noise: where noise and sampling come from; None only under privacy mode `none`.
        on_step: told (step, steps) after each step.

    Raises:
        DataError: an empty data set.
        PrivacyError: `sound` without a source of noise.
    """
    if not len(dataset):
        raise DataError("cannot train on an empty data set")
    if spec.privacy.mode is PrivacyMode.SOUND and noise is None:
        raise PrivacyError("privacy mode sound needs a source of noise")
    source = noise if noise is not None else SystemNoise()
    local = spec.local
    if not isinstance(local, LocalSteps):
        raise SpecificationError("training in epochs is not there yet")
    divisor = local.sampling_rate * len(dataset)
    weights = {name: values.astype(np.float64) for name, values in start.items()}
    velocity = {name: np.zeros_like(values) for name, values in weights.items()}
    for step in range(local.steps):
        batch = _sample(dataset, local.sampling_rate, source)
        gradient = _noised_gradient_sum(spec, weights, batch, source)
        for name in sorted(weights):
            velocity[name] = local.momentum * velocity[name] + gradient[name] / divisor
            weights[name] -= local.learning_rate * velocity[name]
        if on_step is not None:
            on_step(step + 1, local.steps)
    return {name: values.astype(np.float32) for name, values in weights.items()}


def _sample(dataset: Dataset, rate: float, source: NoiseSource) -> Dataset:
    """Each record by itself with probability `rate` (Poisson sampling); all of them at rate 1."""
    if rate == 1.0:
        return dataset
    uniform = np.ldexp((source.words(len(dataset)) >> np.uint64(11)).astype(np.float64), -53)
    chosen = uniform < rate
    return Dataset(dataset.x[chosen], dataset.y[chosen], ())


def _noised_gradient_sum(
    spec: Specification,
    weights: dict[str, NDArray[np.float64]],
    batch: Dataset,
    source: NoiseSource,
) -> dict[str, NDArray[np.float64]]:
    model_family = family(spec.family.name)
    norm, multiplier = spec.privacy.clipping_norm, spec.privacy.noise_multiplier
    if norm is None or multiplier is None:
        return model_family.gradient_sum(spec, weights, batch.x, batch.y, None)
    std = norm * multiplier
    size = model_family.template(spec).parameters
    bound = norm * (1 - CLIPPING_MARGIN) - rounding_sensitivity(size, std)
    if bound <= 0:
        raise PrivacyError(f"noise multiplier {multiplier:g} is too large to be drawn safely")
    clipped = model_family.gradient_sum(spec, weights, batch.x, batch.y, bound)
    return {name: source.add(clipped[name], std) for name in sorted(clipped)}
