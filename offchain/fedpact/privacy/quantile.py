"""A clipping norm that follows a quantile of the gradients' norms, privately.

Andrew, Thakkar, McMahan & Ramaswamy 2021, algorithm 1. Beside each noised sum of clipped gradients
the noised count of those that the norm did not clip is released; the next norm rises where the
count is below the quantile asked for, and falls where it is above. Both sums go over the same
batch and are charged as one release (`mechanisms.joint`), so that following costs no more
epsilon: of one noise multiplier a little goes to the count.

This is the sound counterpart of DDP-SGD (`ddp_sgd`), whose norm is read from raw gradients.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.privacy.noise import NoiseSource

COUNT_BOUND = 0.5
"""A record adds 1/2 to the count if its gradient is within the norm, else -1/2: half the
sensitivity of 1 or 0 under replacement, and no more under zero-out."""


@dataclass(frozen=True)
class QuantileClipping:
    """How the norm moves, fixed before anyone joins."""

    noise_multiplier: float
    """Of both sums together: what is charged a step."""
    count_multiplier: float
    """Of the count alone: standard deviation of its noise over 1/2."""
    quantile: float = 0.5
    """Share of the gradients that should stay unclipped."""
    rate: float = 0.2
    """At a count that is off by x the norm changes by the factor exp(rate * x)."""
    smallest: float = 1e-6
    largest: float = 1e6
    """Bounds of the norm, so that noise never carries it away."""

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise PrivacyError(f"quantile must be between 0 and 1, not {self.quantile!r}")
        if not 0 < self.rate < math.inf:
            raise PrivacyError(f"rate of the norm must be positive, not {self.rate!r}")
        if not 0 < self.smallest <= self.largest < math.inf:
            raise PrivacyError(
                f"bounds of the norm must be positive and in order, not {self.smallest!r} and "
                f"{self.largest!r}"
            )
        if not 0 < self.noise_multiplier < self.count_multiplier < math.inf:
            raise PrivacyError(
                f"the count's noise multiplier {self.count_multiplier!r} must be above the one of "
                f"both sums together, {self.noise_multiplier!r}, which must be positive"
            )

    @property
    def gradient_multiplier(self) -> float:
        """Noise multiplier left to the sum of gradients (their theorem 1): above the whole's."""
        whole, count = self.noise_multiplier**-2, self.count_multiplier**-2
        return 1 / math.sqrt(whole - count)

    def release(self, sampling_rate: float, steps: int) -> GaussianRelease:
        """What is charged for `steps` steps: sums and counts together."""
        return GaussianRelease(self.noise_multiplier, sampling_rate, steps)

    def noised_share(
        self,
        norms: NDArray[np.float64],
        clipping_norm: float,
        expected_batch: float,
        noise: NoiseSource,
    ) -> float:
        """Noised share of the batch's gradients, by their `norms`, (b,), within the clipping norm.

        The divisor is the expected size of the batch, sampling rate times the public number of
        records; never the drawn one. Noise can carry the share out of [0, 1].
        """
        within = float(np.where(norms <= clipping_norm, COUNT_BOUND, -COUNT_BOUND).sum())
        released = noise.add(np.array([within]), self.count_multiplier * COUNT_BOUND)
        return float(released[0]) / expected_batch + COUNT_BOUND

    def next_norm(self, clipping_norm: float, share: float) -> float:
        """The norm of the next step (their equation 2, geometric form)."""
        moved = clipping_norm * math.exp(-self.rate * (share - self.quantile))
        return min(max(moved, self.smallest), self.largest)
