"""A clipping norm that follows a quantile of the gradients' norms, privately.

Andrew, Thakkar, McMahan & Ramaswamy 2021, algorithm 1. Each noised sum of clipped gradients comes
with the noised count of unclipped ones; the next norm rises if the count is below the quantile, and
falls if it is above. Both sums are over the same batch and charged as one release: each divided by
its own bound they are one vector, a Gaussian sum with 1 / z^2 = 1 / z_1^2 + 1 / z_2^2 (theorem 1).
So adapting costs no extra epsilon: a small part of the noise multiplier goes to the count.

The norm starts again each round (docs/adr/0017-adaptive-clipping-restarts-each-round.md). This is
the sound counterpart of DDP-SGD (`learning.ddp_sgd`), which takes its norm from raw gradients of
the same round.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.noise import NoiseSource
from fedpact.types.privacy import Privacy

COUNT_BOUND = 0.5
"""A unit adds 1/2 to the count if its gradient is within the norm, else -1/2: half the
sensitivity of 1 or 0 under replacement, and no more under zero-out."""
RAMP = 0.01
"""The count falls from one to the other between the norm and a hundredth above it. With a jump,
the last bit of a norm, which may depend on the rest of its batch, could change the count by 1."""
COUNT_MARGIN = 1e-4
"""Part of the count's bound left unused for such last bits: 10^-13 of a norm moves one count by
10^-11, and those of ten million others by 10^-4."""
SMALLEST_NORM, LARGEST_NORM = 1e-6, 1e6
"""Bounds of the norm."""


@dataclass(frozen=True)
class QuantileClipping:
    """How the norm adapts, fixed before anyone joins."""

    noise_multiplier: float
    """Of both sums together: the charge of each step."""
    count_multiplier: float
    """Of the count alone: standard deviation of its noise over 1/2."""
    quantile: float = 0.5
    """Share of the gradients that should stay unclipped."""
    rate: float = 0.2
    """If the share is off by x, the norm changes by the factor exp(rate * x)."""

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise PrivacyError(f"quantile must be between 0 and 1, not {self.quantile!r}")
        if not 0 < self.rate < math.inf:
            raise PrivacyError(f"rate of the norm must be positive, not {self.rate!r}")
        if not 0 < self.noise_multiplier < self.count_multiplier < math.inf:
            raise PrivacyError(
                f"the count's noise multiplier {self.count_multiplier!r} must be above that of "
                f"both sums together, {self.noise_multiplier!r}, which must be positive"
            )

    @classmethod
    def of(cls, privacy: Privacy) -> Self | None:
        """From a specification; None if the norm is fixed."""
        asked, multiplier = privacy.adaptive_clipping, privacy.noise_multiplier
        if asked is None or multiplier is None:
            return None
        count = multiplier / math.sqrt(asked.count_share)
        return cls(multiplier, count, asked.quantile, asked.learning_rate)

    @property
    def gradient_multiplier(self) -> float:
        """Noise multiplier left for the sum of gradients (their theorem 1): above the total's."""
        whole, count = self.noise_multiplier**-2, self.count_multiplier**-2
        return 1 / math.sqrt(whole - count)

    def noised_share(
        self,
        norms: NDArray[np.float64],
        clipping_norm: float,
        expected_batch: float,
        noise: NoiseSource,
    ) -> float:
        """Noised share of the batch's gradients within the clipping norm, from their `norms`, (b,).

        The divisor is the expected size of the batch, sampling rate times the public number of
        units; never the drawn one. Noise can take the share out of [0, 1].
        """
        # A norm that is no number is that of an example that counts as zero: it is not within.
        known = np.nan_to_num(norms, nan=np.inf, posinf=np.inf)
        above = np.clip((known / clipping_norm - 1) / RAMP, 0.0, 1.0)
        within = float((COUNT_BOUND * (1 - COUNT_MARGIN) * (1 - 2 * above)).sum())
        released = noise.add(np.array([within]), self.count_multiplier * COUNT_BOUND)
        return float(released[0]) / expected_batch + COUNT_BOUND

    def next_norm(self, clipping_norm: float, share: float) -> float:
        """The norm of the next step (their equation 2, geometric form). A share outside
        [0, 1] counts as the nearer end, so that a step's change is bounded."""
        off = min(max(share, 0.0), 1.0) - self.quantile
        return _stopped(clipping_norm * math.exp(-self.rate * off))

    def norm_range(self, first: float, steps: int) -> tuple[float, float]:
        """Least and largest possible norm `steps` steps after the first one."""
        if steps == 0:
            return first, first
        fall, rise = self.rate * (1 - self.quantile) * steps, self.rate * self.quantile * steps
        return _stopped(first * math.exp(-fall)), _stopped(first * math.exp(min(rise, 500.0)))


def _stopped(norm: float) -> float:
    return min(max(norm, SMALLEST_NORM), LARGEST_NORM)
