"""How well a release distinguishes two neighbouring data sets, measured by many draws.

Full-batch Gaussian sums satisfy Gaussian differential privacy with a parameter mu (Dong, Roth & Su
2022): the release reveals as much about one record as one draw of N(0, 1) or N(mu, 1) reveals about
its mean. For the worst record of a tiny data set this is an equality, so the measured mu must be
neither above the stated one (the promise is broken) nor below it (the audit misses something).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError

Draw = Callable[[int], NDArray[np.float64]]
"""Independent draws of all published values, one per row: count -> (count, d)."""

MIN_DRAWS = 200
SINGULAR = 1e-12
"""A direction whose variance is below this share of the largest one carries no noise."""
ERRORS_ALLOWED = 4.5
"""Standard errors: an honest mechanism fails a check once in 10^5."""


@dataclass(frozen=True)
class Distinguishability:
    """Measurements along the direction that best separates the two data sets."""

    mu: float
    """Distance of the two means divided by the common spread; infinite without noise."""
    mu_error: float
    """Standard error of `mu`."""
    spread_ratio: float
    """Spread with the record divided by spread without it: 1 if no record changes the noise."""
    spread_error: float

    def agrees(self, stated: float, tolerance: float | None = None) -> bool:
        """Whether the record changes only the mean, and by the stated mu.

        Both within `tolerance`; without one, within ERRORS_ALLOWED standard errors.
        """
        mu, spread = tolerance, tolerance
        if mu is None or spread is None:
            mu, spread = ERRORS_ALLOWED * self.mu_error, ERRORS_ALLOWED * self.spread_error
        return abs(self.mu - stated) <= mu and abs(self.spread_ratio - 1) <= spread


def measure(
    without: Draw, within: Draw, draws: int, direction: NDArray[np.float64] | None = None
) -> Distinguishability:
    """Draw each release `draws` times and measure their distance.

    `direction`, (d,): along which the record is known to show. Without it a tenth of the draws
    determines one (Fisher's discriminant, in which noise that two parts of a release share
    cancels), and the rest is measured along it.
    """
    if draws < MIN_DRAWS:
        raise PrivacyError(f"{draws} draws measure nothing: at least {MIN_DRAWS}")
    first = draws // 10 if direction is None else 0
    ours, theirs = within(draws), without(draws)
    if direction is None:
        direction = _discriminant(theirs[:first], ours[:first])
    present, absent = ours[first:] @ direction, theirs[first:] @ direction
    size = draws - first
    shift = float(present.mean() - absent.mean())
    spreads = float(present.std(ddof=1)), float(absent.std(ddof=1))
    common = math.sqrt((spreads[0] ** 2 + spreads[1] ** 2) / 2)
    if common <= abs(shift) * math.sqrt(SINGULAR):
        return Distinguishability(math.inf, 0.0, 1.0, 0.0)
    mu = shift / common
    return Distinguishability(
        mu,
        math.sqrt((2 + mu**2 / 4) / size),
        spreads[0] / spreads[1] if spreads[1] > 0 else math.inf,
        math.sqrt(1 / size),
    )


def _discriminant(without: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance^-1 (mean with the record - mean without it), or a direction without noise."""
    shift = within.mean(axis=0) - without.mean(axis=0)
    covariance = (np.cov(within, rowvar=False) + np.cov(without, rowvar=False)) / 2
    variances, axes = np.linalg.eigh(np.atleast_2d(covariance))
    along = axes.T @ shift
    silent = variances <= SINGULAR * max(float(variances[-1]), float(shift @ shift))
    if np.abs(along[silent]).max(initial=0.0) > math.sqrt(SINGULAR) * np.linalg.norm(shift):
        return np.asarray(axes[:, silent] @ along[silent])
    usable = ~silent
    return np.asarray(axes[:, usable] @ (along[usable] / variances[usable]))
