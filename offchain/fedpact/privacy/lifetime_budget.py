"""What has been spent, and whether a lifetime limit allows more: filters for adaptive choices.

Later requests are chosen in the light of earlier results, and adding up costs is valid only within
a filter, whose region of allowed spends is fixed beforehand (docs/adr/0032):

* Where the first release was full batch, later ones may add up to mu-GDP, with the mu that
  (epsilon, delta) allows (Smith & Thakurta 2022, theorem 3.1; for single units Koskela, Tobaben &
  Honkela 2023). Sampled ones may follow while all together pass a Renyi filter at MIXED_SHARE of
  delta; full batch alone uses the rest of delta.
* Where the first request samples, a Renyi filter at one order (Feldman & Zrnic 2021, theorem 4.3)
  accounts for all.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import (
    MAX_DEMAND,
    MAX_STEPS,
    MIXED_SHARE,
    ORDERS,
    PrivacyCost,
    exact_demand,
    full_batch,
    full_batch_precision,
    gaussian_cost,
    gaussian_epsilon,
    precision,
    rdp,
    rdp_cost,
    rdp_epsilons,
    steps_of,
)
from fedpact.privacy.releases import Mechanism, releases_of

Curve = NDArray[np.float64]
_HEADER = struct.Struct("<bqd")
TOLERANCE = 1e-9
"""For floating-point sums: a schedule that fits as a whole fits in parts. SAMPLER_EPSILON has room
for it."""


class Filter(IntEnum):
    """Which filter accounts for a spend, decided by the schedule of its first release."""

    NONE = 0
    """Nothing was released."""
    GAUSSIAN = 1
    RENYI = 2


@dataclass(frozen=True)
class Spend:
    """What one unit, data set or requester has been charged."""

    filter: Filter
    steps: int
    precision: float
    """mu^2 of the full-batch releases."""
    sampled: Curve
    """Renyi curve over ORDERS of all others; infinite where an order does not converge."""

    @classmethod
    def nothing(cls) -> Self:
        return cls(Filter.NONE, 0, 0.0, np.zeros(len(ORDERS)))

    @classmethod
    def of(cls, event: Mechanism, schedule: Mechanism | None = None) -> Self:
        """The cost of `event`, part of a `schedule` that was fixed before its first release."""
        curve, mu2 = np.zeros(len(ORDERS)), 0.0
        for release in releases_of(event):
            if release.sampling_rate == 1:
                mu2 += precision(release)
            else:
                curve = curve + rdp(release)
        whole = event if schedule is None else schedule
        which = Filter.GAUSSIAN if full_batch(whole) else Filter.RENYI
        return cls(which, steps_of(event), mu2, curve)

    @property
    def curve(self) -> Curve:
        """Renyi curve of everything."""
        return np.asarray(self.sampled + self.precision * np.array(ORDERS) / 2)

    def __add__(self, other: "Spend") -> "Spend":
        """`other` after this one: the earlier one's filter stays."""
        return Spend(
            self.filter or other.filter,
            self.steps + other.steps,
            self.precision + other.precision,
            self.sampled + other.sampled,
        )

    def __sub__(self, other: "Spend") -> "Spend":
        """What is left when `other` turns out never to have been released; never below zero."""
        steps = self.steps - other.steps
        if steps <= 0:
            return Spend.nothing()
        # A spend of before version 3 has everything in the curve.
        missing = max(other.precision - self.precision, 0.0)
        with np.errstate(invalid="ignore"):
            sampled = self.sampled - other.sampled - missing * np.array(ORDERS) / 2
        # Infinite less infinite is not known: it stays infinite.
        sampled = np.maximum(np.where(np.isnan(sampled), np.inf, sampled), 0.0)
        return Spend(self.filter, steps, max(self.precision - other.precision, 0.0), sampled)

    def times(self, count: int) -> "Spend":
        return Spend(self.filter, self.steps * count, self.precision * count, self.sampled * count)

    def with_promised(self, promised: "list[Spend]") -> "Spend":
        """Together with what running requests may still release, in whatever order.

        Nobody knows yet which kind comes first if nothing was released: if they differ, the
        narrower region counts.
        """
        total = sum(promised, start=self)
        kinds = {one.filter for one in promised if one.filter}
        if not self.filter and len(kinds) > 1:
            return Spend(Filter.GAUSSIAN, total.steps, total.precision, total.sampled)
        return total

    def cost(self, delta: float) -> PrivacyCost:
        """(epsilon, delta) of what was released, as of a schedule; 0 if nothing was."""
        if self.sampled.any():
            return rdp_cost(self.curve, delta, self.steps)
        if not self.steps:
            return rdp_cost(self.sampled, delta)
        return gaussian_cost(math.sqrt(self.precision), delta, steps=self.steps)

    def encode(self) -> bytes:
        header = _HEADER.pack(self.filter, self.steps, self.precision)
        return header + self.sampled.astype("<f8").tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises ValueError, saying why, for bytes that are no spend."""
        if len(data) != _HEADER.size + 8 * len(ORDERS):
            raise ValueError("a spend of the wrong length")
        which, steps, mu2 = _HEADER.unpack_from(data)
        sampled = np.frombuffer(data, "<f8", offset=_HEADER.size).astype(np.float64)
        numbers = np.array([mu2, *sampled])
        if steps < 0 or np.isnan(numbers).any() or (numbers < 0).any():
            raise ValueError("a spend that is not a number")
        return cls(Filter(which), steps, mu2, sampled)


@dataclass(frozen=True)
class PrivacyLimit:
    """A provider's lifetime budget for any one unit. An epsilon above 20 counts as 20."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0 and 0 < self.delta < 1):
            raise PrivacyError(
                "a limit needs a positive epsilon and a delta between 0 and 1, not "
                f"{self.epsilon!r} and {self.delta!r}"
            )
        exact_demand(self.effective, self.delta)

    @property
    def effective(self) -> float:
        """The epsilon that counts."""
        return min(self.epsilon, MAX_DEMAND)

    @property
    def order(self) -> float:
        """The order of the Renyi filter, where the first request sampled."""
        return ORDERS[_region(self).order]

    @property
    def accountant(self) -> str:
        return (
            "Gaussian DP filter for full batch, Renyi filter where any was sampled (order "
            f"{self.order:g} if the first one was)"
        )

    def allows(self, spend: Spend) -> bool:
        """Whether a unit, data set or requester may come to have spent this."""
        region = _region(self)
        if spend.steps > MAX_STEPS:
            return False
        if spend.filter is Filter.RENYI:
            return region.renyi(spend.curve)
        if spend.sampled.any():
            return region.mixed(spend.curve)
        return spend.precision <= region.precision * (1 + TOLERANCE)

    def left(self, spend: Spend) -> float:
        """Epsilon at `delta` of the largest full-batch request that still fits after `spend`."""
        region = _region(self)
        if spend.filter is Filter.RENYI or spend.sampled.any():
            order = region.order if spend.filter is Filter.RENYI else region.mixed_order
            delta = region.delta * (1 if spend.filter is Filter.RENYI else MIXED_SHARE)
            used = float(rdp_epsilons(spend.curve, delta)[order])
            room = 2 * (region.epsilon - used) / ORDERS[order]
        else:
            room = region.precision - spend.precision
        if room <= 0 or spend.steps >= MAX_STEPS:
            return 0.0
        # Without the sampler's additions: a request of this epsilon leaves room for them.
        return gaussian_epsilon(math.sqrt(room), self.delta * (1 - MIXED_SHARE))


@dataclass(frozen=True)
class _Region:
    """The spends that a limit allows, for exact noise."""

    epsilon: float
    delta: float
    precision: float
    order: int
    """Index into ORDERS."""
    mixed_order: int

    def renyi(self, curve: Curve) -> bool:
        return self._passes(curve, self.delta, self.order)

    def mixed(self, curve: Curve) -> bool:
        return self._passes(curve, self.delta * MIXED_SHARE, self.mixed_order)

    def _passes(self, curve: Curve, delta: float, order: int) -> bool:
        return bool(rdp_epsilons(curve, delta)[order] <= self.epsilon * (1 + TOLERANCE))


@cache
def _region(limit: PrivacyLimit) -> _Region:
    most = limit.effective
    epsilon, delta = exact_demand(most, limit.delta)
    return _Region(
        epsilon,
        delta,
        full_batch_precision(most, limit.delta),
        _best_order(epsilon, delta),
        _best_order(epsilon, delta * MIXED_SHARE),
    )


def _best_order(epsilon: float, delta: float) -> int:
    # The curve of a Gaussian release is rho * order; the best order lets the largest rho pass.
    room = epsilon - rdp_epsilons(np.zeros(len(ORDERS)), delta)
    return int(np.argmax(room / np.array(ORDERS)))
