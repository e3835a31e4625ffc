"""What the norm of a local update can be, given the mechanism that the specification declares.

An untrained random model is too large, a resubmitted global model too small; both are detected
without looking at the data. Each bound fails an honest provider with probability 10^-9 at most.
"""

import math

import numpy as np

from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.noise_bounds import TAIL, chi_lower, chi_upper
from fedpact.learning.reproducible_sums import length
from fedpact.privacy.quantile import QuantileClipping
from fedpact.types.local_training import LocalApp, LocalConstruction, LocalSteps
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

NO_UPDATE = 1e-12
"""A norm up to this counts as no update."""
UNBOUNDED = 1e6
"""The largest norm accepted if no mechanism bounds it."""
_FLOAT32_MARGIN = 1e-5


def update_norm_bounds(
    spec: Specification, samples: int, round_number: int, known: int = 0
) -> tuple[float, float]:
    """Least and largest norm of (local model - start of local training) in a round of a provider
    with `samples` samples.

    With `known` dimensions of public vectors from before the round, the least norm is that of the
    update's part outside their span: fresh noise is independent of it.

    Without privacy: (NO_UPDATE, UNBOUNDED); constructed models are judged by their family
    (`plausible`). Under `sound`, with learning rate r, K steps, clipping norm C and noise of
    standard deviation s = z * C / (sampling_rate * samples) on each of d values of a step's
    gradient, step k enters the update with the factor a_k = r * (1 + m + ... + m^(K-k)), m the
    momentum:

    * above: sum of a_k * G + |sum of a_k * noise_k|, where G bounds the norm of the clipped
      gradients' sum over its divisor (C in full batch; under Poisson sampling C times a tail bound
      of the batch's size over its mean) and the noise is sqrt(sum of a_k^2) * s * chi(d);
    * below: the part of the last step's noise that is orthogonal to everything before it stays:
      r * s * chi(d - 1 - known).

    An app's update is such a step, with its groups in place of the samples and twice the noise.

    Where the norm follows a quantile, step k counts with the largest norm that it can reach, and
    for `below` with the least. The bound above still holds: it rests on the mean of
    exp(t * |sum|^2), which a step's smaller noise never increases, whatever the earlier steps.

    A round that gathers statistics is one step of rate 1 along their sum, in full batch, with that
    sum's norm and noise. d is the number of values that the round changes.

    Tails of chi^2 by Laurent & Massart 2000, lemma 1; of the batch size by Bernstein's inequality.
    """
    model_family, local = family_of(spec), spec.local
    if isinstance(local, LocalConstruction):
        return NO_UPDATE, math.inf
    clipping, multiplier = spec.privacy.clipping_norm, spec.privacy.noise_multiplier
    if isinstance(local, LocalApp) and clipping is not None and multiplier is not None:
        # The mean of the groups' updates, as one step of rate 1: its noise is that of a sum with
        # sensitivity 2 C, over the number of groups.
        samples, multiplier = local.groups, 2 * multiplier
        local = LocalSteps(steps=1, learning_rate=1.0)
    if spec.privacy.mode is PrivacyMode.NONE or not isinstance(local, LocalSteps):
        return NO_UPDATE, UNBOUNDED
    adaptive = QuantileClipping.of(spec.privacy)
    if model_family.gathers(round_number):
        local, adaptive = LocalSteps(steps=1, learning_rate=1.0), None
        clipping, multiplier = model_family.statistics_norm, spec.privacy.statistics_multiplier
    if clipping is None or multiplier is None:
        return NO_UPDATE, UNBOUNDED
    dimension = sum(math.prod(one) for one in model_family.moved(spec, round_number).values())
    factors = step_factors(local.steps, local.learning_rate, local.momentum)
    ranges = [(clipping, clipping)] * local.steps
    if adaptive is not None:
        multiplier = adaptive.gradient_multiplier
        ranges = [adaptive.norm_range(clipping, step) for step in range(local.steps)]
    share = multiplier / (
        local.sampling_rate * samples
    )  # noise of one value, as a share of the norm
    furthest = [a * most for a, (_, most) in zip(factors, ranges, strict=True)]

    noise = math.sqrt(math.fsum(a * a for a in furthest)) * share * chi_upper(dimension)
    excess = _batch_excess(samples, local.sampling_rate, local.steps)
    high = math.fsum(furthest) * excess + noise
    low = local.learning_rate * ranges[-1][0] * share * chi_lower(dimension - 1 - known)
    return max(NO_UPDATE, low * (1 - _FLOAT32_MARGIN)), high * (1 + _FLOAT32_MARGIN)


def update_norm(start: Model, model: Model) -> float:
    """L2 norm of model - start over all tensors, the same bits everywhere."""
    differences = [
        model[name].astype(np.float64).ravel() - start[name].astype(np.float64).ravel()
        for name in sorted(start)
    ]
    return length(np.concatenate(differences))


def step_factors(steps: int, rate: float, momentum: float) -> list[float]:
    """Factor with which each step's gradient enters the final model, first to last:
    rate * (1 + momentum + ... + momentum^(steps - k)) for step k."""
    factors = []
    factor = 0.0
    for _ in range(steps):
        factor = rate + momentum * factor
        factors.append(factor)
    return factors[::-1]


def _batch_excess(samples: int, rate: float, steps: int) -> float:
    """Upper bound, over all steps, of a drawn batch's size over its mean."""
    if rate == 1.0:
        return 1.0
    mean, tail = rate * samples, TAIL + math.log(steps)
    excess = math.sqrt(2 * mean * (1 - rate) * tail) + tail / 3
    return min(samples, mean + excess) / mean
