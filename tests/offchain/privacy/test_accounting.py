"""Costs against closed forms, numerical integration and dp-accounting itself."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

import fedpact
from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import (
    ORDERS,
    calibrate,
    cost,
    gaussian_epsilon,
    rdp,
    rdp_cost,
    rdp_epsilon,
)
from fedpact.privacy.noise import SAMPLER_EPSILON
from fedpact.privacy.releases import GaussianRelease, Schedule

DELTA = 1e-5


def gaussian_delta(epsilon: float, mu: float) -> float:
    """Balle & Wang 2018, theorem 8, for sensitivity / standard deviation = mu."""
    upper = stats.norm.cdf(mu / 2 - epsilon / mu)
    return float(upper - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu))


def solve(delta_of: Callable[[float], float], delta: float) -> float:
    return float(optimize.brentq(lambda epsilon: delta_of(epsilon) - delta, 0, 60, xtol=1e-9))


@pytest.mark.parametrize(
    ("multiplier", "steps", "epsilon", "replacement"),
    [  # by the closed form, mu = sqrt(steps) / z and twice that
        (1.0, 1, 4.377178, 9.997256),
        (5.0, 20, 3.848610, 8.720755),
        (20.0, 20, 0.819728, 1.760057),
        (50.0, 1, 0.058632, 0.125422),
    ],
)
def test_full_batch_costs_match_the_closed_form(
    multiplier: float, steps: int, epsilon: float, replacement: float
) -> None:
    found = cost(GaussianRelease(multiplier, 1.0, steps), DELTA)
    mu = math.sqrt(steps) / multiplier
    assert solve(lambda e: gaussian_delta(e, mu), DELTA) == pytest.approx(epsilon, abs=2e-6)
    assert found.epsilon == pytest.approx(epsilon + SAMPLER_EPSILON, abs=2e-6)
    assert found.epsilon_replacement == pytest.approx(replacement + SAMPLER_EPSILON, abs=2e-6)
    assert solve(lambda e: gaussian_delta(e, 2 * mu), DELTA) == pytest.approx(replacement, abs=2e-6)


@given(st.floats(1, 300), st.integers(1, 200), st.floats(-12, -1))
def test_the_closed_form_is_never_below_that_of_dp_accounting(
    multiplier: float, steps: int, magnitude: float
) -> None:
    delta = 10**magnitude
    found = gaussian_epsilon(math.sqrt(steps) / multiplier, delta)
    exact = dp_accounting.get_epsilon_gaussian(multiplier / math.sqrt(steps), delta)
    assert exact * (1 - 1e-7) - 1e-9 <= found <= exact * (1 + 1e-4) + 1e-7


@pytest.mark.parametrize(("replacement", "relation"), [(False, 1), (True, 2)])
def test_the_closed_form_agrees_with_privacy_loss_distributions(
    replacement: bool, relation: int
) -> None:
    accountant = PLDAccountant(dp_accounting.NeighboringRelation(relation))
    accountant.compose(dp_accounting.GaussianDpEvent(8.0), 20)
    found = cost(GaussianRelease(8.0, 1.0, 20), DELTA)
    ours = found.epsilon_replacement if replacement else found.epsilon
    assert ours == pytest.approx(accountant.get_epsilon(DELTA), abs=1e-4)


def mixture_delta(epsilon: float, rate: float, sigma: float, removed: float, added: float) -> float:
    """Hockey-stick divergence of two sampled sums, contributions `removed` and `added`."""

    x = np.linspace(-15 * sigma - 1, 15 * sigma + 1, 40_001)

    def density(shift: float) -> np.ndarray:
        return (1 - rate) * stats.norm.pdf(x, 0, sigma) + rate * stats.norm.pdf(x, shift, sigma)

    excess = density(removed) - math.exp(epsilon) * density(added)
    return float(integrate.trapezoid(np.maximum(excess, 0), x))


@pytest.mark.parametrize(("rate", "sigma"), [(0.1, 1.0), (0.5, 2.0)])
def test_one_sampled_steps_cost_matches_integration(rate: float, sigma: float) -> None:
    delta = 1e-4
    found = cost(GaussianRelease(sigma, rate, 1), delta)
    ways = [(1.0, 0.0), (0.0, 1.0)]
    exact = max(solve(lambda e, w=w: mixture_delta(e, rate, sigma, *w), delta) for w in ways)
    replaced = solve(lambda e: mixture_delta(e, rate, sigma, 1.0, -1.0), delta)
    assert found.epsilon == pytest.approx(exact, abs=3e-4)
    assert found.epsilon_replacement == pytest.approx(replaced, abs=3e-4)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, math.pi), st.floats(0.05, 1), st.floats(0, 3))
@settings(max_examples=60)
def test_opposite_full_contributions_are_the_worst_replacement(
    length: float, other: float, angle: float, rate: float, epsilon: float
) -> None:
    axis = np.linspace(-8, 8, 321)
    x, y = np.meshgrid(axis, axis)

    def divergence(ours: tuple[float, float], theirs: tuple[float, float]) -> float:
        def density(at: tuple[float, float]) -> np.ndarray:
            mixed = rate * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2)
            return (mixed + (1 - rate) * np.exp(-(x**2 + y**2) / 2)) / (2 * math.pi)

        excess = density(ours) - math.exp(epsilon) * density(theirs)
        return float(np.maximum(excess, 0).sum() * (axis[1] - axis[0]) ** 2)

    theirs = (other * math.cos(angle), other * math.sin(angle))
    assert divergence((length, 0.0), theirs) <= divergence((1.0, 0.0), (-1.0, 0.0)) + 1e-4


@pytest.mark.parametrize(
    "event",
    [GaussianRelease(5.0, 1.0, 20), GaussianRelease(2.25, 0.1, 100), GaussianRelease(1, 0.01, 500)],
)
def test_accountants_agree_in_their_order(event: GaussianRelease) -> None:
    sharp, loose = cost(event, DELTA), rdp_cost(rdp(event), DELTA)
    assert sharp.epsilon <= loose.epsilon <= 1.35 * sharp.epsilon
    # Replacement by removal and addition is the bound that needs no worst pair.
    assert sharp.epsilon < sharp.epsilon_replacement <= loose.epsilon_replacement
    assert sharp.delta == loose.delta == DELTA
    assert sharp.unit == loose.unit == "record or named unit"
    method = "closed form" if event.sampling_rate == 1 else "PLD (dp-accounting 0."
    assert sharp.accountant.startswith(method)
    assert loose.accountant == "RDP"


@pytest.mark.parametrize("rate", [1.0, 0.05])
def test_renyi_curve_is_that_of_dp_accounting(rate: float) -> None:
    reference = RdpAccountant(list(ORDERS))
    noised = dp_accounting.GaussianDpEvent(1.5)
    event = noised if rate == 1 else dp_accounting.PoissonSampledDpEvent(rate, noised)
    reference.compose(event, 30)
    spend = rdp(GaussianRelease(1.5, rate, 30))
    assert np.allclose(spend, reference.rdp, rtol=1e-9)
    assert rdp_epsilon(spend, DELTA) == pytest.approx(reference.get_epsilon(DELTA), rel=1e-9)


@pytest.mark.parametrize(
    ("multiplier", "rate", "steps"),
    [pytest.param(1.1, 0.01, 1000, marks=pytest.mark.slow), (2.0, 0.1, 50), (8.0, 1.0, 20)],
)
# Opacus takes the logarithm of zero where a loss cannot occur.
@pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning:opacus")
def test_opacus_accounts_the_same_epsilon(multiplier: float, rate: float, steps: int) -> None:
    from opacus.accountants import PRVAccountant, RDPAccountant

    event = GaussianRelease(multiplier, rate, steps)
    renyi, exact = RDPAccountant(), PRVAccountant()
    for accountant in (renyi, exact):
        accountant.history = [(multiplier, rate, steps)]
    theirs = renyi.get_epsilon(DELTA, alphas=list(ORDERS))
    assert rdp_epsilon(rdp(event), DELTA) == pytest.approx(theirs, rel=1e-6)
    # Theirs errs by 0.01 upwards, ours by the discretisation.
    assert cost(event, DELTA).epsilon == pytest.approx(
        exact.get_epsilon(DELTA, eps_error=0.005), abs=0.012
    )


@pytest.mark.parametrize(
    ("epsilon", "delta", "steps", "rate"),
    [
        (4.0, 1e-5, 20, 1.0),
        (0.1, 1e-6, 3, 1.0),
        pytest.param(2.0, 1e-5, 10, 0.2, marks=pytest.mark.slow),
    ],
)
def test_calibration_meets_the_target_exactly(
    epsilon: float, delta: float, steps: int, rate: float
) -> None:
    multiplier = calibrate(epsilon, delta, steps, rate)
    assert cost(GaussianRelease(multiplier, rate, steps), delta).epsilon <= epsilon
    assert cost(GaussianRelease(multiplier * 0.999, rate, steps), delta).epsilon > epsilon


def test_calibration_without_sampling_is_the_closed_form() -> None:
    exact = math.sqrt(20) * dp_accounting.get_sigma_gaussian(4.0, DELTA)
    assert exact < calibrate(4.0, DELTA, 20, 1.0) <= exact * 1.0005


def test_an_epsilon_that_no_noise_reaches_names_the_least_possible_one() -> None:
    with pytest.raises(PrivacyError, match=r"the least possible epsilon is 0\.\d+"):
        calibrate(1e-4, 1e-9, 10**6, 1.0)


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [(0.0, DELTA), (-1.0, DELTA), (math.nan, DELTA), (50.0, DELTA), (1.0, 0.0), (1.0, 1.0)],
)
def test_demands_out_of_range_are_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(PrivacyError):
        calibrate(epsilon, delta, 10, 1.0)


@pytest.mark.parametrize(
    "bad", [(0.0, 1.0, 1), (math.nan, 1.0, 1), (1.0, 0.0, 1), (1.0, 1.1, 1), (1.0, 1.0, 0)]
)
def test_events_out_of_range_are_refused(bad: tuple[float, float, int]) -> None:
    with pytest.raises(PrivacyError):
        GaussianRelease(*bad)


@pytest.mark.parametrize(
    "event", [GaussianRelease(1e-3, 1.0, 10**6), GaussianRelease(0.01, 0.5, 9)]
)
def test_hopelessly_weak_noise_is_priced_without_effort(event: GaussianRelease) -> None:
    found = cost(event, DELTA)
    assert found.epsilon > 1000
    assert found.accountant.startswith("RDP")


CENTRING = GaussianRelease(20.0, 1.0, 1)


def test_a_full_batch_schedule_is_one_gaussian() -> None:
    schedule = Schedule((CENTRING, GaussianRelease(30.0, 1.0, 60)))
    mu = math.sqrt(60 / 30.0**2 + 1 / 20.0**2)
    found = cost(schedule, DELTA)
    exact = [gaussian_epsilon(times * mu, DELTA) + SAMPLER_EPSILON for times in (1, 2)]
    assert [found.epsilon, found.epsilon_replacement] == pytest.approx(exact, abs=1e-6)


def test_the_order_of_a_schedule_costs_nothing() -> None:
    sampled = GaussianRelease(2.0, 0.05, 30)
    there, back = (
        cost(Schedule((CENTRING, sampled)), DELTA),
        cost(Schedule((sampled, CENTRING)), DELTA),
    )
    assert there.epsilon == pytest.approx(back.epsilon, rel=1e-6)
    assert there.accountant.startswith("PLD")


def test_a_mixed_schedule_costs_between_its_largest_part_and_the_sum() -> None:
    sampled = GaussianRelease(2.0, 0.05, 30)
    found = cost(Schedule((CENTRING, sampled)), DELTA).epsilon
    parts = [cost(part, DELTA / 2).epsilon for part in (CENTRING, sampled)]
    assert cost(sampled, DELTA).epsilon < found < sum(parts)


def test_the_renyi_curves_of_a_schedule_add_up() -> None:
    sampled = GaussianRelease(2.0, 0.05, 30)
    assert np.array_equal(rdp(Schedule((CENTRING, sampled))), rdp(CENTRING) + rdp(sampled))


@pytest.mark.parametrize("rate", [1.0, pytest.param(0.2, marks=pytest.mark.slow)])
def test_calibration_leaves_room_for_other_releases(rate: float) -> None:
    found = calibrate(2.0, DELTA, 60, rate, (CENTRING,))
    assert found > calibrate(2.0, DELTA, 60, rate)
    for multiplier, holds in ((found, True), (found * 0.999, False)):
        schedule = Schedule((CENTRING, GaussianRelease(multiplier, rate, 60)))
        assert (cost(schedule, DELTA).epsilon <= 2.0) is holds


def test_no_room_besides_other_releases_is_reported() -> None:
    with pytest.raises(PrivacyError, match=r"used up .* cost 0\.1"):
        calibrate(0.1, DELTA, 10, 1.0, (CENTRING,))


def test_an_empty_schedule_is_refused() -> None:
    with pytest.raises(PrivacyError, match="at least one"):
        Schedule(())


def test_nothing_spent_costs_nothing() -> None:
    nothing = rdp_cost(np.zeros(len(ORDERS)), DELTA)
    assert nothing.epsilon == nothing.epsilon_replacement == 0


def test_importing_the_accountant_loads_no_heavy_package() -> None:
    program = (
        "import sys, fedpact.privacy.accounting, fedpact.privacy.noise;"
        "import fedpact.privacy.ledger.ledger;"
        "heavy = {'torch', 'scipy', 'sklearn', 'pandas', 'dp_accounting'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    source_root = Path(fedpact.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=source_root)


def test_orders_without_a_finite_series_take_the_next_ones_and_log_nothing() -> None:
    """DDP-SGD at epsilon 10 searches there: the demo printed pages of warnings."""
    program = (
        "import json; from fedpact.privacy.accounting import _rdp_of_step, rdp; "
        "from fedpact.privacy.releases import GaussianRelease; "
        "curve = rdp(GaussianRelease(1.0259, 0.2, 40)).tolist(); "
        "print(json.dumps([_rdp_of_step(1.0259, 0.2), curve]))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    step, curve = (np.array(one) for one in json.loads(ran.stdout))
    assert ran.stderr == ""
    lost = np.isinf(step)
    assert lost.any()
    assert not lost[-1]
    np.testing.assert_allclose(curve[~lost], 40 * step[~lost])
    following = [int(np.flatnonzero(~lost[order:])[0]) + order for order in np.flatnonzero(lost)]
    np.testing.assert_allclose(curve[lost], 40 * step[following])
    accountant = PLDAccountant()
    sampled = dp_accounting.PoissonSampledDpEvent(0.2, dp_accounting.GaussianDpEvent(1.0259))
    accountant.compose(sampled, 40)
    assert accountant.get_epsilon(DELTA) <= rdp_epsilon(curve, DELTA) < 30
