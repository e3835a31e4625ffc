"""What releases cost, and how much noise a privacy guarantee needs.

Two adjacencies. *Zero-out*: one record's contribution is removed while the number of records stays
public; costs equal those of add/remove. *Replacement*: one record is replaced by any other, which
doubles the sensitivity of a sum. "Epsilon" alone means zero-out; the figure under replacement is
always given with it.

The schedule of a request is fixed before it begins. In full batch it is one Gaussian mechanism,
whose epsilon has a closed form (Balle & Wang 2018, theorem 8); with Poisson sampling it is
accounted by privacy loss distributions (PLD; Doroshenko et al. 2022, in dp-accounting). Releases of
different requests are chosen adaptively, so a lifetime is accounted by a Renyi filter whose order
depends only on the limit (Feldman & Zrnic 2021, theorem 4.3).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.mechanisms import GaussianRelease, Mechanism, Schedule, releases_of

UNIT: Literal["record or named unit"] = "record or named unit"
ORDERS: tuple[float, ...] = (
    *(1 + eighth / 8 for eighth in range(1, 40)),
    *(6 + half / 2 for half in range(0, 20)),
    *(float(order) for order in range(16, 64)),
    *(64.0, 80.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0),
)
"""Renyi orders of every stored spend; changing them makes ledgers unreadable."""

MAX_NOISE_MULTIPLIER = 1e4
MAX_DEMAND = 20.0
"""Largest epsilon for which noise is calibrated."""
MAX_EXACT_EPSILON = 30.0
"""Above this the distributions are too large to compute; the Renyi bound is used."""
DISCRETISATION = (1e-4, 1e-3)
"""Finest and coarsest interval h of privacy loss; errs upwards, by about steps * h^2."""
CALIBRATION_TOLERANCE = 1e-4
_CLOSED_FORM = "closed form of the Gaussian mechanism"


@dataclass(frozen=True)
class PrivacyCost:
    """(epsilon, delta) of a release, per record, and the accountant that computed it."""

    epsilon: float
    """Zero-out adjacency: a record removed, the number of records public."""
    epsilon_replacement: float
    """Under replacement adjacency, at the same delta."""
    delta: float
    unit: Literal["record or named unit"]
    accountant: str


@dataclass(frozen=True)
class PrivacyLimit:
    """A provider's lifetime budget for any one record."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        _check_demand(self.epsilon, self.delta)

    @property
    def order(self) -> float:
        """The Renyi order of the filter: the best one for Gaussian releases up to the limit."""
        return ORDERS[_filter_order(self)]

    def allows(self, spend: NDArray[np.float64]) -> bool:
        """Whether the filter allows a total of `spend` (one value per order)."""
        index = _filter_order(self)
        # Tolerance for floating-point sums: a schedule that fits as a whole fits in parts.
        return bool(_epsilons(spend, self.delta)[index] <= self.epsilon * (1 + 1e-9))

    def left(self, spend: NDArray[np.float64]) -> float:
        """Epsilon at `delta` of the largest full-batch release that still fits after `spend`."""
        index = _filter_order(self)
        room = self.epsilon - float(_epsilons(spend, self.delta)[index])
        if room <= 0:
            return 0.0
        return gaussian_epsilon(math.sqrt(2 * room / ORDERS[index]), self.delta)


@lru_cache(maxsize=1024)
def cost(event: Mechanism, delta: float) -> PrivacyCost:
    """Cost of a release, or of a schedule of releases, fixed in advance.

    Full batch by the closed form, Poisson by PLD; by the Renyi curve where that gives more than
    30. Raises PrivacyError for a delta outside (0, 1).
    """
    _check_demand(1.0, delta)
    spend = rdp(event)
    if rdp_epsilon(spend, delta) > MAX_EXACT_EPSILON:
        return rdp_cost(spend, delta)
    return PrivacyCost(
        epsilon=_exact_epsilon(event, delta),
        epsilon_replacement=_exact_epsilon(event, delta, replacement=True),
        delta=delta,
        unit=UNIT,
        accountant=_CLOSED_FORM if _full_batch(event) else _pld_name(),
    )


@lru_cache(maxsize=256)
def calibrate(
    epsilon: float,
    delta: float,
    steps: int,
    sampling_rate: float,
    beside: tuple[GaussianRelease, ...] = (),
) -> float:
    """Smallest noise multiplier (to 2 parts in 10^4, from above) whose cost is at most epsilon.

    `beside`: other releases of the same schedule, whose noise is given; they are paid first.
    Zero-out adjacency, by what `cost` uses. Raises PrivacyError for a demand out of range, or for
    one that needs a noise multiplier above 10^4; the message says the least epsilon to be had.
    """
    _check_demand(epsilon, delta)
    if epsilon > MAX_DEMAND:
        raise PrivacyError(f"epsilon {epsilon:g} protects nobody: use at most {MAX_DEMAND:g}")
    if beside:
        fixed = _exact_epsilon(Schedule(beside), delta)
        if fixed >= epsilon:
            raise PrivacyError(
                f"epsilon {epsilon:g} is used up by the other releases of the schedule, which "
                f"cost {fixed:.3g}: ask for more, or give them more noise"
            )

    def excess(multiplier: float) -> float:
        release = GaussianRelease(multiplier, sampling_rate, steps)
        return _exact_epsilon(Schedule((release, *beside)), delta) - epsilon

    full_batch = sampling_rate == 1 and all(other.sampling_rate == 1 for other in beside)
    multiplier = _full_batch_multiplier(epsilon, delta, steps, beside)
    if not full_batch:
        from scipy.optimize import brentq

        high = _renyi_multiplier(epsilon, delta, steps, sampling_rate, multiplier)
        while excess(high) > 0:
            high *= 1.25
        low = 0.8 * high
        while excess(low) <= 0:
            high, low = low, 0.8 * low
        multiplier = brentq(excess, low, high, rtol=CALIBRATION_TOLERANCE)
    while excess(multiplier) > 0:
        multiplier *= 1 + CALIBRATION_TOLERANCE
    if multiplier > MAX_NOISE_MULTIPLIER:
        least = excess(MAX_NOISE_MULTIPLIER) + epsilon
        raise PrivacyError(
            f"no noise meets epsilon {epsilon:g} at delta {delta:g} over {steps} steps:"
            f" the least possible epsilon is {least:.2g}"
        )
    return float(multiplier)


@lru_cache(maxsize=1024)
def _rdp_of_step(noise_multiplier: float, sampling_rate: float) -> tuple[float, ...]:
    if sampling_rate == 1:
        return tuple(order / (2 * noise_multiplier**2) for order in ORDERS)
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(list(ORDERS))
    noised = dp_accounting.GaussianDpEvent(noise_multiplier)
    accountant.compose(dp_accounting.PoissonSampledDpEvent(sampling_rate, noised))
    return tuple(float(value) for value in accountant.rdp)


def rdp(event: Mechanism) -> NDArray[np.float64]:
    """Renyi divergence of `event` at each of ORDERS, zero-out adjacency; shape (len(ORDERS),).

    Full batch: order / (2 z^2) a step (Mironov 2017); Poisson: Mironov, Talwar & Zhang 2019.
    An order at which that series does not converge is infinite. Releases of a schedule add up.
    """
    total = np.zeros(len(ORDERS))
    for release in releases_of(event):
        step = _rdp_of_step(release.noise_multiplier, release.sampling_rate)
        total += np.array([release.steps * max(value, 0.0) for value in step], dtype=np.float64)
    return total


def rdp_epsilon(spend: NDArray[np.float64], delta: float) -> float:
    """Best epsilon at `delta` of a Renyi curve over ORDERS; 0 if nothing was spent."""
    if not spend.any():
        return 0.0
    return max(0.0, float(_epsilons(spend, delta).min()))


def rdp_cost(spend: NDArray[np.float64], delta: float) -> PrivacyCost:
    """(epsilon, delta) of a Renyi curve over ORDERS.

    Replacement is one removal after another: if (e, d) holds under zero-out, then
    (2 e, (1 + exp(e)) d) holds under replacement. The smaller delta this asks for is found by
    bisection; the figure is an upper bound.
    """
    _check_demand(1.0, delta)
    epsilon = rdp_epsilon(spend, delta)
    half = _least(lambda each: _both_ways(spend, each, delta), 1e-6) if epsilon > 0 else 0.0
    return PrivacyCost(epsilon, 2 * half, delta, UNIT, "RDP")


def _both_ways(spend: NDArray[np.float64], epsilon: float, delta: float) -> bool:
    """Whether (epsilon, delta / (1 + exp(epsilon))) holds for `spend`."""
    smaller = math.log(delta) - float(np.logaddexp(0.0, epsilon))
    return float(_epsilons_at(spend, smaller).min()) <= epsilon


def _epsilons(spend: NDArray[np.float64], delta: float) -> NDArray[np.float64]:
    return _epsilons_at(spend, math.log(delta))


def _epsilons_at(spend: NDArray[np.float64], log_delta: float) -> NDArray[np.float64]:
    """Epsilon at each order (Canonne, Kamath & Steinke 2020, proposition 12)."""
    orders = np.array(ORDERS)
    conversion = np.log1p(-1 / orders) - (log_delta + np.log(orders)) / (orders - 1)
    return np.asarray(spend + conversion, dtype=np.float64)


@cache
def _filter_order(limit: PrivacyLimit) -> int:
    # The curve of a Gaussian release is rho * order; the best order lets the largest rho pass.
    room = limit.epsilon - _epsilons(np.zeros(len(ORDERS)), limit.delta)
    return int(np.argmax(room / np.array(ORDERS)))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Epsilon of the Gaussian mechanism with sensitivity / standard deviation = mu, from above."""

    def holds(epsilon: float) -> bool:
        first = _normal_cdf(mu / 2 - epsilon / mu)
        # On underflow and where the exponential is cut off, epsilon errs upwards.
        second = _normal_cdf(-mu / 2 - epsilon / mu)
        return first * (1 + 1e-13) - math.exp(min(epsilon, 700.0)) * second <= delta

    return 0.0 if holds(0.0) else _least(holds, 1e-10)


@cache
def gaussian_multiplier(epsilon: float, delta: float) -> float:
    """Least noise multiplier (to 1 part in 10^9) at which one Gaussian release costs epsilon."""
    return _least(lambda multiplier: gaussian_epsilon(1 / multiplier, delta) <= epsilon, 1e-9)


def _least(holds: Callable[[float], bool], tolerance: float) -> float:
    """Smallest positive number, to a relative tolerance from above, from which on `holds`.

    Infinite when nothing holds. `holds` must change once, from false to true.
    """
    low, high = 0.0, 1.0
    while high < 1e15 and not holds(high):
        low, high = high, 2 * high
    if high >= 1e15:
        return math.inf
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def _full_batch(event: Mechanism) -> bool:
    return all(release.sampling_rate == 1 for release in releases_of(event))


def _precision(releases: tuple[GaussianRelease, ...]) -> float:
    """mu^2 of full-batch releases together: the sum of steps / z^2 (Dong, Roth & Su 2022)."""
    return math.fsum(release.steps / release.noise_multiplier**2 for release in releases)


def _full_batch_multiplier(
    epsilon: float, delta: float, steps: int, beside: tuple[GaussianRelease, ...]
) -> float:
    """The multiplier if all releases were full batch: an upper bound of the one sought."""
    whole = 1 / gaussian_multiplier(epsilon, delta) ** 2
    full = tuple(release for release in beside if release.sampling_rate == 1)
    return math.sqrt(steps / (whole - _precision(full)))


def _exact_epsilon(event: Mechanism, delta: float, *, replacement: bool = False) -> float:
    releases = releases_of(event)
    if _full_batch(event):
        mu = math.sqrt(_precision(releases))
        return gaussian_epsilon(2 * mu if replacement else mu, delta)
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    neighbours = dp_accounting.NeighboringRelation
    # dp-accounting's pair for sampled sums under replacement, contributions +C and -C in the
    # sampled part, is the worst there is: see "Replacement" in docs/privacy.md.
    relation = neighbours.REPLACE_ONE if replacement else neighbours.ADD_OR_REMOVE_ONE
    finest, coarsest = DISCRETISATION
    steps = sum(release.steps for release in releases)
    accountant = PLDAccountant(relation, min(max(1e-2 / math.sqrt(steps), finest), coarsest))
    for release in releases:
        noised = dp_accounting.GaussianDpEvent(release.noise_multiplier)
        sampled = dp_accounting.PoissonSampledDpEvent(release.sampling_rate, noised)
        accountant.compose(sampled, release.steps)
    return float(accountant.get_epsilon(delta))


def _renyi_multiplier(
    epsilon: float, delta: float, steps: int, sampling_rate: float, enough: float
) -> float:
    """A multiplier that meets the demand by the Renyi bound, at most `enough`, near the least."""

    def meets(multiplier: float) -> bool:
        event = GaussianRelease(multiplier, sampling_rate, steps)
        return rdp_epsilon(rdp(event), delta) <= epsilon

    enough *= 1.2  # the Renyi bound is looser than the exact figure behind `enough`
    short = enough / 2
    while meets(short):
        enough, short = short, short / 2
    while enough > 1.02 * short:
        middle = math.sqrt(short * enough)
        short, enough = (short, middle) if meets(middle) else (middle, enough)
    return enough


def _pld_name() -> str:
    from importlib.metadata import version

    return f"PLD (dp-accounting {version('dp-accounting')})"


def _check_demand(epsilon: float, delta: float) -> None:
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise PrivacyError(f"epsilon must be positive and finite, not {epsilon!r}")
    if not 0 < delta < 1:
        raise PrivacyError(f"delta must be between 0 and 1, not {delta!r}")
