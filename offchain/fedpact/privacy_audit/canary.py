"""One run over canaries, each in or out by a coin toss (Steinke et al. 2023)."""

import math

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Targets
from fedpact.features.scattering import MAPS, STRIDE, width
from fedpact.learning.families import family
from fedpact.privacy.attacks import AuditedMode, Check, canaries
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.privacy_audit.release import (
    CANARIES,
    CANARY,
    CANARY_NORM,
    CHARACTERS,
    DELTA,
    FEWER_CANARIES,
    GUESSED,
    LARGEST_DIGIT,
    MIN_GUESSES,
    START,
    STEPS,
    Finding,
    asked_privacy,
    audited_specification,
    classifies,
    descent,
    first_gradient,
    flattened,
    last_round,
    released_sums,
    stated_epsilon,
)
from fedpact.types.specification import Specification


def audit_canaries(
    name: str,
    count: int | None = None,
    noise: NoiseSource | None = None,
    seed: int | None = None,
    mode: AuditedMode = AuditedMode.SOUND,
) -> Finding:
    """One run over canaries, each in or out by a coin toss; white box (Steinke et al. 2023).

    Each canary has one value that is not 0, at its own index; a canary of characters is a random
    window. Its score is the release along its own gradient, less what half of all gradients would
    give.

    Args:
        count: None: CANARIES, or the family's FEWER_CANARIES.
        seed: of the coins; None: the system's entropy.

    Raises PrivacyError for fewer than MIN_GUESSES canaries.
    """
    source = SystemNoise() if noise is None else noise
    if count is None:
        count = FEWER_CANARIES.get(name, CANARIES)
    spec, x, y = _canaries(name, count, mode)
    start = family(name).initial(spec, START)
    middle = STEPS / 2 * flattened(first_gradient(spec, x, y, CANARY_NORM))

    def scores(included: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = Dataset(x[included], y[included], ())
        model = last_round(spec, start, chosen, source)
        seen = released_sums(spec, start, model, len(chosen)) - middle
        own = (
            first_gradient(spec, x[index, None], y[index, None], CANARY_NORM)
            for index in range(count)
        )
        return np.array([seen @ flattened(one) for one in own])

    generator = np.random.default_rng(seed)
    guesses = max(MIN_GUESSES, count // GUESSED)
    found = canaries.audit(scores, count, guesses, DELTA, generator)
    stated = stated_epsilon(spec)
    seen: dict[str, float] = {"canaries": count, "guesses": found.guesses, "right": found.right}
    seen["confidence"] = found.confidence
    quantity = "epsilon, seen: its lower bound"
    holds = found.allows(stated)
    return Finding(
        Check.CANARIES,
        name,
        mode,
        quantity,
        stated,
        found.epsilon,
        holds,
        stated,
        DELTA,
        seen,
    )


def _canaries(
    name: str, count: int, mode: AuditedMode
) -> tuple[Specification, NDArray[np.float32], Targets]:
    """One canary per row; in images each in its own block of four pixels, which pooling keeps
    apart."""
    shape: tuple[int, ...] | None = None
    if name == "scattering-linear":
        # Canaries are features: no image has only one.
        side = STRIDE * max(2, math.ceil(math.sqrt(count / MAPS)))
        shape = (side, side)
        x = np.zeros((count, width((side, side))), np.float32)
        np.fill_diagonal(x, CANARY)
    elif name == "cnn":
        cells = math.ceil(math.sqrt(count))
        x = np.zeros((count, 2 * cells, 2 * cells), np.float32)
        rows, columns = np.divmod(np.arange(count), cells)
        x[np.arange(count), 2 * rows, 2 * columns] = CANARY
    elif name == CHARACTERS:
        drawn = np.random.default_rng(START).integers(0, LARGEST_DIGIT + 1, (count, 16))
        x = drawn.astype(np.float32)
    else:
        x = np.diag(np.full(count, CANARY, np.float32))
    spec = audited_specification(
        name, shape or x.shape[1:], asked_privacy(CANARY_NORM, mode), descent()
    )
    if classifies(name):
        return spec, x, np.zeros(count, np.int64)
    return spec, x, np.ones(count, np.float32)
