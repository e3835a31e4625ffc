"""What releases cost, and how much noise a privacy guarantee needs.

Two adjacencies. *Zero-out*: one record's contribution is removed while the number of records stays
public; costs equal those of add/remove. *Replacement*: one record is replaced by any other, which
doubles the sensitivity of a sum. "Epsilon" alone means zero-out; the figure under replacement is
always given with it.

The schedule of a request is fixed before it begins. In full batch it is one Gaussian mechanism,
whose epsilon has a closed form (Balle & Wang 2018, theorem 8); with Poisson sampling it is
accounted by privacy loss distributions (PLD; Doroshenko et al. 2022, in dp-accounting). Releases of
different requests are chosen adaptively: a lifetime is accounted by filters (`lifetime_budget`).

Every figure includes what the sampler's own error adds (`noise`).
"""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.noise import MAX_VALUES_BITS, SAMPLER_EPSILON, sampler_delta
from fedpact.privacy.releases import GaussianRelease, Mechanism, Schedule, releases_of

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
VALUES_BITS = 24
"""A step draws at most 2^24 noise values."""
MAX_STEPS = 2 ** (MAX_VALUES_BITS - VALUES_BITS)
"""Steps of a lifetime, for which the sampler's error is proven."""
MIXED_SHARE = 0.005
"""Share of delta that full-batch releases leave to sampled ones after them (docs/adr/0032)."""
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


@lru_cache(maxsize=1024)
def cost(event: Mechanism, delta: float) -> PrivacyCost:
    """Cost of a release, or of a schedule of releases, fixed in advance.

    Full batch by the closed form, Poisson by PLD; by the Renyi curve where that gives more than
    30. Raises PrivacyError for a delta outside (0, 1).
    """
    _check_demand(1.0, delta)
    curve, steps = rdp(event), steps_of(event)
    if rdp_epsilon(curve, delta) > MAX_EXACT_EPSILON:
        return rdp_cost(curve, delta, steps)
    if full_batch(event):
        return gaussian_cost(math.sqrt(precision(event)), delta, steps=steps)
    return PrivacyCost(
        epsilon=_exact_epsilon(event, delta),
        epsilon_replacement=_exact_epsilon(event, delta, replacement=True),
        delta=delta,
        unit=UNIT,
        accountant=_pld_name(),
    )


def gaussian_cost(
    mu: float, delta: float, *, replacement: float = 2.0, steps: int = 1
) -> PrivacyCost:
    """Cost of full-batch releases that together are mu-GDP.

    `replacement`: how much larger the sensitivity is where a unit is replaced by another.
    """
    return PrivacyCost(
        _drawn(lambda rest: gaussian_epsilon(mu, rest), delta, steps),
        _drawn(lambda rest: gaussian_epsilon(replacement * mu, rest), delta, steps),
        delta,
        UNIT,
        _CLOSED_FORM,
    )


@cache
def full_batch_precision(epsilon: float, delta: float) -> float:
    """Largest mu^2 of full-batch releases within (epsilon, delta): of a request's schedule, fixed
    beforehand, and of a lifetime (`lifetime_budget`), so that a lifetime covers a request of its
    size.

    Raises PrivacyError where the sampler's own error takes up what is asked for.
    """
    epsilon, delta = exact_demand(epsilon, delta)
    return gaussian_multiplier(epsilon, delta * (1 - MIXED_SHARE)) ** -2


def exact_demand(epsilon: float, delta: float) -> tuple[float, float]:
    """The (epsilon, delta) that exact noise must meet for drawn noise to meet the given one.

    Raises PrivacyError where the sampler's own error takes up half of delta, or all of epsilon.
    """
    rest = (delta - sampler_delta(epsilon)) * (1 - SAMPLER_EPSILON)
    if epsilon <= SAMPLER_EPSILON or rest < delta / 2:
        raise PrivacyError(
            f"epsilon {epsilon:g} at delta {delta:g} cannot be promised: drawing noise alone costs "
            f"epsilon {SAMPLER_EPSILON:g} and delta {sampler_delta(epsilon):.2g} at that epsilon, "
            "of which at most half may be spent on it: ask for a larger delta or a smaller epsilon"
        )
    return epsilon - SAMPLER_EPSILON, rest


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
    Zero-out adjacency, by what `cost` uses; in full batch it leaves MIXED_SHARE of delta, as a
    lifetime does. Raises PrivacyError for a demand out of range, or for
    one that needs a noise multiplier above 10^4; the message says the least epsilon to be had.
    """
    _check_demand(epsilon, delta)
    if epsilon > MAX_DEMAND:
        raise PrivacyError(f"epsilon {epsilon:g} protects nobody: use at most {MAX_DEMAND:g}")
    room = full_batch_precision(epsilon, delta) - math.fsum(
        precision(other) for other in beside if other.sampling_rate == 1
    )
    fixed = _exact_epsilon(Schedule(beside), delta) if beside else 0.0
    if fixed >= epsilon or room <= 0:
        raise PrivacyError(
            f"epsilon {epsilon:g} is used up by the other releases of the schedule, which "
            f"cost {fixed:.3g}: ask for more, or give them more noise"
        )

    def excess(multiplier: float) -> float:
        release = GaussianRelease(multiplier, sampling_rate, steps)
        return _exact_epsilon(Schedule((release, *beside)), delta) - epsilon

    multiplier = math.sqrt(steps / room)  # with sampling, an upper bound
    if sampling_rate < 1 or not all(other.sampling_rate == 1 for other in beside):
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
    with _without_a_line_per_order():
        accountant.compose(dp_accounting.PoissonSampledDpEvent(sampling_rate, noised))
    return tuple(float(value) for value in accountant.rdp)


@contextmanager
def _without_a_line_per_order() -> Iterator[None]:
    """Keeps dp-accounting from logging each order whose series does not converge.

    It gives such an order an infinite divergence, which is correct if loose: an epsilon is the
    least over all orders. A search for a noise multiplier meets many of them where noise is small.
    """

    def wanted(record: logging.LogRecord) -> bool:
        return "failed to converge" not in str(record.msg)

    logger = logging.getLogger("absl")
    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def rdp(event: Mechanism) -> NDArray[np.float64]:
    """Renyi divergence of `event` at each of ORDERS, zero-out adjacency; shape (len(ORDERS),).

    Full batch: order / (2 z^2) a step (Mironov 2017); Poisson: Mironov, Talwar & Zhang 2019.
    Where that series does not converge, the value of the next order where it does: the divergence
    does not fall with the order (van Erven & Harremoës 2014, theorem 3). Releases of a schedule add
    up.
    """
    total = np.zeros(len(ORDERS))
    for release in releases_of(event):
        step = np.array(_rdp_of_step(release.noise_multiplier, release.sampling_rate))
        step = np.minimum.accumulate(step[::-1])[::-1]
        total += np.array([release.steps * max(value, 0.0) for value in step], dtype=np.float64)
    return total


def rdp_epsilon(spend: NDArray[np.float64], delta: float) -> float:
    """Best epsilon at `delta` of a Renyi curve over ORDERS; 0 if nothing was spent."""
    if not spend.any():
        return 0.0
    return max(0.0, float(rdp_epsilons(spend, delta).min()))


def rdp_cost(curve: NDArray[np.float64], delta: float, steps: int = MAX_STEPS) -> PrivacyCost:
    """(epsilon, delta) of a Renyi curve over ORDERS, of so many steps.

    Replacement is one removal after another: if (e, d) holds under zero-out, then
    (2 e, (1 + exp(e)) d) holds under replacement. The smaller delta this asks for is found by
    bisection; the figure is an upper bound.
    """
    _check_demand(1.0, delta)
    if not curve.any():
        return PrivacyCost(0.0, 0.0, delta, UNIT, "RDP")

    def replaced(rest: float) -> float:
        return 2 * _least(lambda each: _both_ways(curve, each, rest), 1e-6)

    return PrivacyCost(
        _drawn(lambda rest: rdp_epsilon(curve, rest), delta, steps),
        _drawn(replaced, delta, steps),
        delta,
        UNIT,
        "RDP",
    )


def _both_ways(spend: NDArray[np.float64], epsilon: float, delta: float) -> bool:
    """Whether (epsilon, delta / (1 + exp(epsilon))) holds for `spend`."""
    smaller = math.log(delta) - float(np.logaddexp(0.0, epsilon))
    return float(_epsilons_at(spend, smaller).min()) <= epsilon


def rdp_epsilons(spend: NDArray[np.float64], delta: float) -> NDArray[np.float64]:
    """Epsilon at `delta` by each of ORDERS."""
    return _epsilons_at(spend, math.log(delta))


def _epsilons_at(spend: NDArray[np.float64], log_delta: float) -> NDArray[np.float64]:
    """Epsilon at each order (Canonne, Kamath & Steinke 2020, proposition 12)."""
    orders = np.array(ORDERS)
    conversion = np.log1p(-1 / orders) - (log_delta + np.log(orders)) / (orders - 1)
    return np.asarray(spend + conversion, dtype=np.float64)


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


def full_batch(event: Mechanism) -> bool:
    return all(release.sampling_rate == 1 for release in releases_of(event))


def precision(event: Mechanism) -> float:
    """mu^2 of full-batch releases together: the sum of steps / z^2 (Dong, Roth & Su 2022)."""
    return math.fsum(release.steps / release.noise_multiplier**2 for release in releases_of(event))


def steps_of(event: Mechanism) -> int:
    return sum(release.steps for release in releases_of(event))


def _drawn(epsilon_at: Callable[[float], float], delta: float, steps: int) -> float:
    """Epsilon at `delta` of what is drawn, given that of exact noise at any delta.

    Infinite where the sampler's own error takes up half of delta: then nothing is promised.
    """
    bound = epsilon_at(delta / 2) + SAMPLER_EPSILON
    sampling = sampler_delta(bound, math.ldexp(steps, VALUES_BITS))
    rest = (delta - sampling) * (1 - SAMPLER_EPSILON)
    if rest < delta / 2 or steps > MAX_STEPS:
        return math.inf
    return epsilon_at(rest) + SAMPLER_EPSILON


def _exact_epsilon(event: Mechanism, delta: float, *, replacement: bool = False) -> float:
    releases, steps = releases_of(event), steps_of(event)
    if full_batch(event):
        found = gaussian_cost(math.sqrt(precision(event)), delta, steps=steps)
        return found.epsilon_replacement if replacement else found.epsilon
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    neighbours = dp_accounting.NeighboringRelation
    # dp-accounting's pair for sampled sums under replacement, contributions +C and -C in the
    # sampled part, is the worst there is: see "Replacement" in docs/privacy.md.
    relation = neighbours.REPLACE_ONE if replacement else neighbours.ADD_OR_REMOVE_ONE
    finest, coarsest = DISCRETISATION
    accountant = PLDAccountant(relation, min(max(1e-2 / math.sqrt(steps), finest), coarsest))
    for release in releases:
        noised = dp_accounting.GaussianDpEvent(release.noise_multiplier)
        sampled = dp_accounting.PoissonSampledDpEvent(release.sampling_rate, noised)
        accountant.compose(sampled, release.steps)
    return _drawn(lambda rest: float(accountant.get_epsilon(rest)), delta, steps)


def _renyi_multiplier(
    epsilon: float, delta: float, steps: int, sampling_rate: float, enough: float
) -> float:
    """A multiplier that meets the demand by the Renyi bound, at most `enough`, near the least."""

    def meets(multiplier: float) -> bool:
        event = GaussianRelease(multiplier, sampling_rate, steps)
        return rdp_cost(rdp(event), delta, steps).epsilon <= epsilon

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
