"""What Wang et al. 2024 claim for DP-SGD and DDP-SGD: the epsilon of mode `paper`.

Neither DDP-SGD's raw epochs nor its clipping norm are covered by the noise of its last epoch
(`learning.ddp_sgd`): **the epsilon is the paper's claim, not a guarantee**.

The paper does not say how sigma follows from epsilon. Charitably: the accountant's figure for the
noised steps of all rounds, sampled at rate B / N, as if they were all that is released and their
norm were a constant. N is the provider's own number of examples.
"""

import math
from functools import lru_cache

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.releases import GaussianRelease
from fedpact.types.local_training import LocalEpochs
from fedpact.types.privacy import PaperMechanism
from fedpact.types.specification import Specification


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
