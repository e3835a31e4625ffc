"""Mechanisms describe themselves as events; what an event costs is `accounting`'s business."""

import math
from dataclasses import dataclass, replace
from typing import Self

from fedpact.errors import PrivacyError
from fedpact.types.specification import LocalSteps, Specification


@dataclass(frozen=True)
class GaussianRelease:
    """Sums of clipped contributions with Gaussian noise, one sum a step.

    In each step every record takes part with probability `sampling_rate`, independently (Poisson;
    1 is full batch), contributes a vector of L2 norm at most C, and the sum gets noise of standard
    deviation `noise_multiplier` * C on each coordinate. All that is published is computed from
    the `steps` noised sums.
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.noise_multiplier) and self.noise_multiplier > 0):
            raise PrivacyError(
                f"noise multiplier must be positive and finite, not {self.noise_multiplier!r}"
            )
        if not 0 < self.sampling_rate <= 1:
            raise PrivacyError(f"sampling rate must be in (0, 1], not {self.sampling_rate!r}")
        if self.steps < 1:
            raise PrivacyError(f"a release has at least one step, not {self.steps}")

    @classmethod
    def of_round(cls, spec: Specification) -> Self | None:
        """What a provider releases in one round of `spec`; None without privacy."""
        multiplier, local = spec.privacy.noise_multiplier, spec.local
        if multiplier is None or not isinstance(local, LocalSteps):
            return None
        return cls(multiplier, local.sampling_rate, local.steps)

    @classmethod
    def of_request(cls, spec: Specification) -> Self | None:
        """What a provider releases in all rounds of `spec`: the schedule fixed at joining."""
        once = cls.of_round(spec)
        return None if once is None else once.times(spec.rounds)

    def times(self, rounds: int) -> Self:
        """The same release, made `rounds` times with fresh noise."""
        return replace(self, steps=self.steps * rounds)
