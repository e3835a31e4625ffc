"""Mechanisms as events; `accounting` computes their cost."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Self

from fedpact.errors import PrivacyError
from fedpact.types.specification import STATISTICS_ROUND, Specification


@dataclass(frozen=True)
class GaussianRelease:
    """Sums of clipped contributions with Gaussian noise, one per step.

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
    def of_round(cls, spec: Specification, number: int) -> Self | None:
        """What a provider releases in round `number` (from 1) of `spec`; None without privacy.

        In a secure sum the multiplier is that of one member's part: the release is the sum of
        `honest` parts, which counts as so many draws (privacy.secure_sum.terms).
        """
        statistics = spec.privacy.statistics_multiplier
        if number == STATISTICS_ROUND and statistics is not None:
            found = cls(statistics, 1.0, 1)
        else:
            multiplier, sums = spec.privacy.noise_multiplier, spec.local.noised_sums
            if multiplier is None or sums is None:
                return None
            found = cls(multiplier, *sums)
        honest = spec.privacy.honest
        if honest is None:
            return found
        return replace(
            found, noise_multiplier=honest * found.noise_multiplier, steps=honest * found.steps
        )

    def times(self, rounds: int) -> Self:
        """The same release, made `rounds` times with fresh noise."""
        return replace(self, steps=self.steps * rounds)


@dataclass(frozen=True)
class Schedule:
    """Releases of several kinds on the same records, all fixed in advance: a round of noised
    sums for centring, say, then many of noised gradients. Their order costs nothing."""

    releases: tuple[GaussianRelease, ...]

    def __post_init__(self) -> None:
        if not self.releases:
            raise PrivacyError("a schedule has at least one release")


Mechanism = GaussianRelease | Schedule


def of_request(spec: Specification) -> Mechanism | None:
    """A provider's releases in all rounds of `spec`, a schedule fixed at joining. None without
    privacy."""
    return of_rounds(spec, range(1, spec.rounds + 1))


def of_rounds(spec: Specification, numbers: Iterable[int]) -> Mechanism | None:
    """A provider's releases in these rounds (from 1): those in which it was drawn. None without
    privacy, or without a round."""
    made = Counter(GaussianRelease.of_round(spec, number) for number in numbers)
    releases = tuple(one.times(rounds) for one, rounds in made.items() if one is not None)
    if not releases:
        return None
    return releases[0] if len(releases) == 1 else Schedule(releases)


def releases_of(mechanism: Mechanism) -> tuple[GaussianRelease, ...]:
    """The releases of a mechanism."""
    return mechanism.releases if isinstance(mechanism, Schedule) else (mechanism,)


def encode_event(event: Mechanism) -> str:
    """JSON, as ledgers store it."""
    return json.dumps(asdict(event), sort_keys=True)


def decode_event(text: str) -> Mechanism:
    """What `encode_event` encoded."""
    fields = json.loads(text)
    if "releases" not in fields:
        return GaussianRelease(**fields)
    return Schedule(tuple(GaussianRelease(**one) for one in fields["releases"]))
