"""Mode `paper`: DP-SGD with a fixed clipping norm, and DDP-SGD (Wang et al. 2024, algorithm 2).

DDP-SGD trains all local epochs but the last on raw gradients, reads the clipping norm off them
(their equation 2), and clips and noises in the last epoch alone. What is uploaded is therefore not
covered by that noise, nor is the norm: **the epsilon is the paper's claim, not a guarantee**.

Where the paper leaves open what to compute, this is chosen:

* *Which epochs.* Equation 2 names epochs E-1 and E-2, and E-1 is the noised one itself, whose
  gradients are not known when its norm is needed. Taken are the two epochs before the last, so
  E >= 3.
* *Which norm.* C_e is the mean over the epoch's examples of the norms of their gradients: those
  are what the last epoch clips.
* *Where equation 2 fails.* With the last epoch's norm C_1 and the one's before C_2, gamma =
  |C_1 - C_2| / C_1 is meant as a weight. It divides by zero at C_1 = 0, exceeds 1 for C_2 > 2 C_1,
  and makes the norm negative for C_2 > (3 + sqrt(5)) / 2 * C_1. It is cut off at 1, which gives
  C_1; a norm below 10^-6 becomes 10^-6.
* *Batches.* Each example once an epoch, in the caller's order, in batches of B. The sum is divided
  by the drawn batch's size, as in the paper.
* *Noise for an epsilon.* The paper does not say how sigma follows from epsilon. Charitably: the
  accountant's figure for the noised steps of all rounds, sampled at rate B / N, as if they were
  all that is released and their norm were a constant.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.privacy.noise import NoiseSource

CLAIM = "claimed by the paper, not guaranteed"
SMALLEST_NORM = 1e-6
LEAST_EPOCHS = 3

Vector = NDArray[np.float64]
Examples = NDArray[np.int64]
"""Places of a batch's examples, (b,)."""
ExampleGradients = Callable[[Vector, Examples], Vector]
"""Gradients of a batch's examples one by one, (b, d), at a model's values, (d,)."""


@dataclass(frozen=True)
class Claim:
    """An epsilon that a paper prints. Not a PrivacyCost, and never to be shown as one."""

    epsilon: float
    delta: float
    source: str
    note: str = CLAIM


@dataclass(frozen=True)
class LocalPlan:
    """One provider's local training in one round."""

    epochs: int
    batch_size: int
    learning_rate: float
    noise_multiplier: float
    clipping_norm: float | None = None
    """Fixed: DP-SGD, every epoch clipped and noised. None: DDP-SGD, the last epoch alone."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.epochs < 1:
            raise PrivacyError(
                f"training takes epochs and batches of at least 1, not {self.epochs} epochs in "
                f"batches of {self.batch_size}"
            )
        if self.clipping_norm is None and self.epochs < LEAST_EPOCHS:
            raise PrivacyError(
                f"DDP-SGD reads its norm off the two epochs before the last: at least "
                f"{LEAST_EPOCHS} local epochs, not {self.epochs}"
            )
        if self.clipping_norm is not None and not 0 < self.clipping_norm < math.inf:
            raise PrivacyError(f"clipping norm must be positive, not {self.clipping_norm!r}")
        if not 0 < self.noise_multiplier < math.inf:
            raise PrivacyError(f"noise multiplier must be positive, not {self.noise_multiplier!r}")

    def noised(self, epoch: int) -> bool:
        """Whether the epoch, counted from 0, is clipped and noised."""
        return self.clipping_norm is not None or epoch == self.epochs - 1


def dynamic_norm(last: float, before: float) -> float:
    """Equation 2: gamma * C_1 + (1 - gamma) * C_2, gamma = |C_1 - C_2| / C_1 but at most 1.

    Args:
        last: C_1, the mean norm of gradients in the last epoch without noise.
        before: C_2, in the epoch before it.
    """
    if not (math.isfinite(last) and math.isfinite(before) and last >= 0 and before >= 0):
        raise PrivacyError(f"norms of gradients must be finite, not {last!r} and {before!r}")
    gamma = min(abs(last - before) / last, 1.0) if last > 0 else 1.0
    return max(gamma * last + (1 - gamma) * before, SMALLEST_NORM)


def train(
    plan: LocalPlan,
    start: Vector,
    gradients: ExampleGradients,
    orders: Sequence[Examples],
    noise: NoiseSource,
) -> Vector:
    """The local model, (d,), after all epochs from `start`; `orders`: the examples of each epoch.

    Raises PrivacyError where there is not one non-empty order an epoch.
    """
    if len(orders) != plan.epochs or any(len(order) == 0 for order in orders):
        raise PrivacyError(f"{plan.epochs} epochs need as many orders of examples, none empty")
    weights = start.astype(np.float64)
    norms: list[float] = []
    for epoch, order in enumerate(orders):
        bound = None
        if plan.noised(epoch):
            bound = plan.clipping_norm or dynamic_norm(norms[-1], norms[-2])
        weights, norm = _epoch(plan, weights, gradients, order, bound, noise)
        norms.append(norm)
    return weights


def _epoch(
    plan: LocalPlan,
    weights: Vector,
    gradients: ExampleGradients,
    order: Examples,
    bound: float | None,
    noise: NoiseSource,
) -> tuple[Vector, float]:
    """The model after one epoch, and the mean norm of its examples' gradients."""
    lengths = 0.0
    for place in range(0, len(order), plan.batch_size):
        batch = order[place : place + plan.batch_size]
        each = gradients(weights, batch)
        norms = np.linalg.norm(each, axis=1)
        lengths += float(norms.sum())
        if bound is None:
            total = each.sum(axis=0)
        else:
            total = (each / np.maximum(1.0, norms / bound)[:, None]).sum(axis=0)
            total = noise.add(total, bound * plan.noise_multiplier)
        weights = weights - plan.learning_rate / len(batch) * total
    return weights, lengths / len(order)


def claimed_release(plan: LocalPlan, examples: int, rounds: int) -> GaussianRelease:
    """The noised steps of all rounds, as if they were all that is released."""
    rate = min(1.0, plan.batch_size / examples)
    noised = sum(plan.noised(epoch) for epoch in range(plan.epochs))
    steps = math.ceil(examples / plan.batch_size) * noised * rounds
    return GaussianRelease(plan.noise_multiplier, rate, steps)


def claimed_multiplier(
    epsilon: float, delta: float, plan: LocalPlan, examples: int, rounds: int
) -> tuple[float, Claim]:
    """Noise multiplier under which the claim is (epsilon, delta); the plan's own is not read."""
    release = claimed_release(plan, examples, rounds)
    multiplier = calibrate(epsilon, delta, release.steps, release.sampling_rate)
    return multiplier, Claim(epsilon, delta, "Wang et al. 2024, algorithm 2")
