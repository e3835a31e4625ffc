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
  all that is released and their norm were a constant. N is the provider's own number of examples.

Here is what the figure counts; `learning.paper_dp_sgd` trains.
"""

import math
from functools import lru_cache

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.types.local_training import LocalEpochs
from fedpact.types.privacy import PaperMechanism
from fedpact.types.specification import Specification

SMALLEST_NORM = 1e-6


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


def noised_epoch(spec: Specification, local: LocalEpochs, epoch: int) -> bool:
    """Whether the local epoch, counted from 0, is clipped and noised: each one with a fixed norm,
    the last alone in DDP-SGD."""
    return spec.privacy.mechanism is PaperMechanism.DP_SGD or epoch == local.epochs - 1


def claimed_multiplier(spec: Specification, examples: int) -> float:
    """Noise multiplier of a provider of so many examples, under which the claim is the
    specification's (epsilon, delta).

    Raises PrivacyError for another mechanism than DP-SGD or DDP-SGD, and where no noise will do.
    """
    epsilon, delta = spec.privacy.epsilon, spec.privacy.delta
    if epsilon is None or delta is None:
        raise PrivacyError(f"privacy {spec.privacy.statement}: the paper's claim has no delta")
    steps, rate = _counted(spec, examples)
    return _calibrated(epsilon, delta, steps, rate)


def claimed_release(spec: Specification, examples: int) -> GaussianRelease:
    """The noised steps of all rounds, as if they were all that is released."""
    steps, rate = _counted(spec, examples)
    return GaussianRelease(claimed_multiplier(spec, examples), rate, steps)


def _counted(spec: Specification, examples: int) -> tuple[int, float]:
    """Noised steps of all rounds, and the rate at which each is taken to sample."""
    local = spec.local
    if not isinstance(local, LocalEpochs):
        raise PrivacyError("the paper's claim counts the batches of epochs")
    noised = sum(noised_epoch(spec, local, epoch) for epoch in range(local.epochs))
    batches = math.ceil(examples / local.batch_size)
    return batches * noised * spec.rounds, min(1.0, local.batch_size / examples)


@lru_cache(maxsize=256)
def _calibrated(epsilon: float, delta: float, steps: int, rate: float) -> float:
    return calibrate(epsilon, delta, steps, rate)
