"""Draws of a release with and without one record, and the distance between them."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Targets
from fedpact.errors import InvalidInput
from fedpact.learning.families import ConstructedFamily, family, family_of
from fedpact.learning.local_training import noised_step, train_local
from fedpact.learning.summed_release import Integers, member_integers
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.units import Batch
from fedpact.privacy.attacks import AuditedMode, Check, distinguishability
from fedpact.privacy.claimed_epsilon import claimed_release
from fedpact.privacy.noise import NoiseSource, SystemNoise, from_half_steps
from fedpact.privacy.quantile import COUNT_BOUND, QuantileClipping
from fedpact.privacy.releases import GaussianRelease
from fedpact.privacy_audit.constructed import constructed_release
from fedpact.privacy_audit.release import (
    DDP_SGD,
    DELTA,
    DRAWS,
    EPSILON,
    LEARNING_RATE,
    RECORDS,
    START,
    STEPS,
    Finding,
    asked_privacy,
    audited_digits,
    audited_specification,
    descent,
    first_gradient,
    flattened,
    last_round,
    released_sums,
)
from fedpact.types.privacy import DDP_SGD_MIN_EPOCHS
from fedpact.types.specification import Specification


def audit_draws(
    name: str,
    mode: AuditedMode = AuditedMode.SOUND,
    draws: int = DRAWS,
    noise: NoiseSource | None = None,
) -> Finding:
    """Draw a release over four digits and over three of them, and measure their distance.

    The fourth has the longest gradient, and the clipping norm is half of that, so that it has its
    full effect. A family that constructs its models gets four texts. `noise` None: the system's.

    Raises SpecificationError for a family without `sound`, PrivacyError for too few draws.
    """
    source = SystemNoise() if noise is None else noise
    if isinstance(family(name), ConstructedFamily):
        if mode not in (AuditedMode.SOUND, AuditedMode.SECURE):
            raise InvalidInput(f"family {name} has no gradients: audit it in mode sound or secure")
        release, stated = constructed_release(name, asked_privacy(None, mode), source)
    else:
        x, y, lengths = _worst_last(name)
        privacy = asked_privacy(float(lengths[-1]) / 2, mode)
        spec = audited_specification(name, x.shape[1:], privacy, descent(mode))
        ways = {
            AuditedMode.SOUND: _trained,
            AuditedMode.ADAPTIVE: _followed,
            AuditedMode.SECURE: _summed,
            AuditedMode.PAPER: _claimed,
        }
        release, stated = ways[mode](spec, x, y, source)

    def drawn(records: int) -> distinguishability.Draw:
        return lambda count: np.array([release(records) for _ in range(count)])

    # With counts the direction is searched for, so that a count without noise would be found.
    aimed = None if mode is AuditedMode.ADAPTIVE else np.ones(1)
    found = distinguishability.measure(drawn(RECORDS - 1), drawn(RECORDS), draws, aimed)
    seen = {
        "draws": draws,
        "standard_error": found.mu_error,
        "spread_ratio": found.spread_ratio,
        "spread_error": found.spread_error,
    }
    measured = found.mu if math.isfinite(found.mu) else None
    quantity = "Gaussian-DP parameter mu"
    holds = found.agrees(stated)
    return Finding(Check.DRAWS, name, mode, quantity, stated, measured, holds, EPSILON, DELTA, seen)


Release = Callable[[int], list[float]]
"""One draw over the first n records: the sums along the direction in which the last record shows
most and, if counts are released too, the counts."""


def _trained(
    spec: Specification, x: NDArray[np.float32], y: Targets, noise: NoiseSource
) -> tuple[Release, float]:
    """The product's local training and its stated mu."""
    start = family_of(spec).initial(spec, START)
    released = GaussianRelease.of_round(spec, spec.rounds)
    assert released is not None
    x = family_of(spec).represented(spec, x)

    along = _along_the_last(spec, x, y)

    def release(records: int) -> list[float]:
        chosen = Dataset(x[:records], y[:records], ())
        model = last_round(spec, start, chosen, noise)
        return [float(released_sums(spec, start, model, records) @ along)]

    return release, _mu(released)


def _summed(
    spec: Specification, x: NDArray[np.float32], y: Targets, noise: NoiseSource
) -> tuple[Release, float]:
    """The least secure sum that is opened, less what colluders know: of the honest members alone,
    one of which has the records."""
    start, norm = family_of(spec).initial(spec, START), spec.privacy.clipping_norm
    released = GaussianRelease.of_round(spec, spec.rounds)
    assert released is not None
    assert norm is not None
    x = family_of(spec).represented(spec, x)
    along = _along_the_last(spec, x, y)
    honest, multiplier = spec.privacy.honest or 0, spec.privacy.noise_multiplier or 0.0

    def part(records: int) -> Integers:
        held = Dataset(x[:records], y[:records], (), RECORDS)
        training = LocalTraining(spec, start, held, noise=noise, round_and_seat=(spec.rounds, 0))
        return member_integers(training)

    def release(records: int) -> list[float]:
        total = part(records)
        for _ in range(honest - 1):
            total = total + part(0)
        return [float(from_half_steps(total, multiplier * norm) @ along) / norm]

    return release, _mu(released)


def _followed(
    spec: Specification, x: NDArray[np.float32], y: Targets, noise: NoiseSource
) -> tuple[Release, float]:
    """The steps of local training at the first weights, each with the norm that follows from the
    one before: sums divided by their norms, and counts."""
    clipping, released = QuantileClipping.of(spec.privacy), GaussianRelease.of_round(spec, 2)
    first = spec.privacy.clipping_norm
    assert clipping is not None
    assert released is not None
    assert first is not None
    along = _along_the_last(spec, x, y)
    start = family_of(spec).initial(spec, START)
    weights = {name: values.astype(np.float64) for name, values in start.items()}

    def release(records: int) -> list[float]:
        batch = Batch.of(spec, Dataset(x[:records], y[:records], ()))
        norm, summed, counted = first, 0.0, 0.0
        for _ in range(STEPS):
            sums, share = noised_step(spec, weights, batch, norm, records, noise)
            assert share is not None
            summed += float(flattened(sums) @ along) / norm
            counted += (share - COUNT_BOUND) * records
            norm = clipping.next_norm(norm, share)
        return [summed, counted]

    return release, _mu(released)


def _along_the_last(spec: Specification, x: NDArray[np.float32], y: Targets) -> NDArray[np.float64]:
    """The direction, of length 1, of the last record's gradient."""
    gradient = flattened(first_gradient(spec, x[-1:], y[-1:]))
    return gradient / np.linalg.norm(gradient)


def _claimed(
    spec: Specification, x: NDArray[np.float32], y: Targets, noise: NoiseSource
) -> tuple[Release, float]:
    """DDP-SGD with one batch per epoch, and the mu that the paper accounts for."""
    local = {"epochs": DDP_SGD_MIN_EPOCHS, "batch_size": RECORDS, "learning_rate": LEARNING_RATE}
    paper = audited_specification(spec.family.name, spec.features.shape, DDP_SGD, local)
    start = family_of(spec).initial(paper, START)

    along = _along_the_last(spec, x, y)

    def release(records: int) -> list[float]:
        chosen = Dataset(x[:records], y[:records], ())
        model = train_local(LocalTraining(paper, start, chosen, noise=noise, round_and_seat=(1, 0)))
        return [float(released_sums(paper, start, model, records) @ along)]

    return release, _mu(claimed_release(paper, RECORDS))


def _mu(release: GaussianRelease) -> float:
    return math.sqrt(release.steps) / release.noise_multiplier


def _worst_last(name: str) -> tuple[NDArray[np.float32], Targets, NDArray[np.float64]]:
    """RECORDS digits, their labels, and the lengths of their gradients, the longest last."""
    x, y = audited_digits(name, RECORDS)
    spec = audited_specification(name, x.shape[1:], {"mode": "none"}, descent())
    lengths = np.array(
        [
            np.linalg.norm(flattened(first_gradient(spec, x[index, None], y[index, None])))
            for index in range(RECORDS)
        ]
    )
    order = np.argsort(lengths)
    return x[order], y[order], lengths[order]
