"""Lifetime filters, against closed forms, dp-accounting's PLD and sums worked by hand."""

import math
from pathlib import Path

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.accounting import EPSILONS, row
from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import (
    MAX_STEPS,
    MIXED_SHARE,
    calibrate,
    cost,
    full_batch_precision,
    gaussian_epsilon,
    rdp,
    rdp_epsilon,
)
from fedpact.privacy.lifetime_budget import Filter, PrivacyLimit, Spend
from fedpact.privacy.releases import GaussianRelease, Schedule

DELTA = 1e-5
FULL = GaussianRelease(5.0, 1.0, 2)
SAMPLED = GaussianRelease(2.0, 0.1, 10)


def gaussian_delta(epsilon: float, mu: float) -> float:
    """Balle & Wang 2018, theorem 8."""
    upper = stats.norm.cdf(mu / 2 - epsilon / mu)
    return float(upper - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu))


@pytest.mark.parametrize(
    ("epsilon", "mu"),  # solved from gaussian_delta(epsilon, mu) = 0.995e-5 with scipy
    [(0.5, 0.142163), (1.0, 0.267970), (2.0, 0.501416), (4.0, 0.924713), (8.0, 1.665700)],
)
def test_full_batch_releases_add_up_to_mu_gaussian_dp(epsilon: float, mu: float) -> None:
    limit = PrivacyLimit(epsilon, DELTA)
    found = math.sqrt(full_batch_precision(epsilon, DELTA))
    assert found == pytest.approx(mu, rel=2e-5)
    assert gaussian_delta(epsilon, found) < DELTA
    release = GaussianRelease(7 / found, 1.0, 1)
    assert limit.allows(Spend.of(release.times(49)))
    assert not limit.allows(Spend.of(release.times(50)))


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_full_batch_needs_less_noise_than_the_renyi_filter(epsilon: float) -> None:
    """`python -m benchmarks.accounting` prints the figures of docs/privacy.md."""
    limit = PrivacyLimit(epsilon, DELTA)
    conversion = math.log1p(-1 / limit.order) - (math.log(DELTA) + math.log(limit.order)) / (
        limit.order - 1
    )
    renyi = math.sqrt(2 * (epsilon - conversion) / limit.order)
    saved = 1 - renyi / math.sqrt(full_batch_precision(epsilon, DELTA))
    assert 0.055 < saved < 0.085


@pytest.mark.parametrize("epsilon", [0.3, 1.0, 4.0, 20.0])
def test_a_lifetime_is_enough_for_a_full_batch_request_of_its_epsilon(epsilon: float) -> None:
    event = GaussianRelease(calibrate(epsilon, DELTA, 60, 1.0), 1.0, 60)
    assert PrivacyLimit(epsilon, DELTA).allows(Spend.of(event))
    assert 0.995 * epsilon < cost(event, DELTA).epsilon <= epsilon


releases = st.builds(
    GaussianRelease, st.floats(1.0, 30.0), st.sampled_from([1.0, 0.5, 0.05]), st.integers(1, 30)
)


@given(st.lists(releases, min_size=1, max_size=4), st.sampled_from([1.0, 4.0, 8.0]))
@settings(max_examples=8, deadline=None)
def test_what_is_allowed_costs_no_more_than_the_limit_by_privacy_loss_distributions(
    history: list[GaussianRelease], epsilon: float
) -> None:
    limit, spend = PrivacyLimit(epsilon, DELTA), Spend.nothing()
    accountant = PLDAccountant(value_discretization_interval=1e-3)
    for release in history:
        if not limit.allows(spend + Spend.of(release)):
            continue
        spend = spend + Spend.of(release)
        noised = dp_accounting.GaussianDpEvent(release.noise_multiplier)
        accountant.compose(
            dp_accounting.PoissonSampledDpEvent(release.sampling_rate, noised), release.steps
        )
    exact = accountant.get_epsilon(DELTA)  # errs upwards by about steps * h^2
    assert exact <= epsilon + 1e-3
    assert spend.cost(DELTA).epsilon >= exact - 1e-3


@given(st.lists(releases, min_size=1, max_size=5), releases, st.floats(0.5, 12.0))
@settings(max_examples=15)
def test_more_releases_never_cost_less_and_never_come_back_under_a_limit(
    history: list[GaussianRelease], last: GaussianRelease, epsilon: float
) -> None:
    limit = PrivacyLimit(epsilon, DELTA)
    spend = sum((Spend.of(release) for release in history), start=Spend.nothing())
    after = spend + Spend.of(last)
    assert after.cost(DELTA).epsilon >= spend.cost(DELTA).epsilon
    assert limit.left(after) <= limit.left(spend)
    assert limit.allows(spend) or not limit.allows(after)


def test_a_sampled_request_is_accounted_by_the_renyi_filter_at_the_whole_delta() -> None:
    spend = Spend.of(SAMPLED) + Spend.of(FULL)
    assert spend.filter is Filter.RENYI
    assert np.allclose(spend.curve, rdp(SAMPLED) + rdp(FULL))
    limit = PrivacyLimit(rdp_epsilon(spend.curve, DELTA) * 1.02, DELTA)
    assert limit.allows(spend)
    assert not limit.allows(spend + Spend.of(FULL))


def test_sampled_releases_after_full_batch_use_their_own_share_of_delta() -> None:
    """Whoever sees the first results may go on in full batch or switch to sampling: both ends
    count against delta, so each has a share of its own."""
    spend = Spend.of(FULL) + Spend.of(SAMPLED)
    assert spend.filter is Filter.GAUSSIAN
    need = rdp_epsilon(spend.curve, DELTA * MIXED_SHARE)
    assert not PrivacyLimit(need * 0.999, DELTA).allows(spend)
    assert PrivacyLimit(need * 1.03, DELTA).allows(spend)


def test_a_mixed_request_counts_as_sampled_from_its_first_release_on() -> None:
    schedule = Schedule((FULL, SAMPLED))
    assert Spend.of(schedule).filter is Spend.of(FULL, schedule).filter is Filter.RENYI


def test_promised_requests_of_both_kinds_count_in_the_worse_order() -> None:
    full, sampled = Spend.of(FULL), Spend.of(SAMPLED)
    assert Spend.nothing().with_promised([sampled, full]).filter is Filter.GAUSSIAN
    assert Spend.nothing().with_promised([full, sampled]).filter is Filter.GAUSSIAN
    assert Spend.nothing().with_promised([sampled]).filter is Filter.RENYI
    assert sampled.with_promised([full]).filter is Filter.RENYI


def test_a_refund_leaves_what_was_there_before() -> None:
    spend = Spend.of(FULL) + Spend.of(SAMPLED)
    back = spend - Spend.of(SAMPLED)
    assert back.precision == pytest.approx(2 / 25)
    assert back.sampled.max() <= 1e-12
    assert (back - Spend.of(FULL)).filter is Filter.NONE


@given(st.lists(releases, max_size=3))
@settings(max_examples=10)
def test_a_spend_is_stored_to_the_last_bit(history: list[GaussianRelease]) -> None:
    spend = sum((Spend.of(release) for release in history), start=Spend.nothing())
    again = Spend.decode(spend.encode())
    assert (again.filter, again.steps, again.precision) == (
        spend.filter,
        spend.steps,
        spend.precision,
    )
    assert np.array_equal(again.sampled, spend.sampled)


def test_a_lifetime_has_no_more_steps_than_the_samplers_error_is_proven_for() -> None:
    limit = PrivacyLimit(8.0, DELTA)
    tiny = GaussianRelease(1e4, 1.0, MAX_STEPS)
    assert limit.allows(Spend.of(tiny))
    assert not limit.allows(Spend.of(tiny) + Spend.of(GaussianRelease(1e4, 1.0, 1)))
    assert limit.left(Spend.of(tiny)) == 0.0


def test_a_limit_that_sampling_alone_uses_up_is_refused() -> None:
    with pytest.raises(PrivacyError, match="drawing noise alone costs"):
        PrivacyLimit(8.0, 1e-12)
    assert PrivacyLimit(8.0, 1e-10).allows(Spend.nothing())
    twenty = Spend.of(GaussianRelease(calibrate(20.0, DELTA, 1, 1.0), 1.0, 1))
    assert PrivacyLimit(32.0, DELTA).allows(twenty)
    assert not PrivacyLimit(32.0, DELTA).allows(twenty + twenty)


def test_the_printed_figure_includes_the_sampler() -> None:
    exact = gaussian_epsilon(math.sqrt(2) / 5, DELTA)
    found = cost(FULL, DELTA)
    assert exact + 1.9e-6 < found.epsilon < exact + 2.2e-6
    assert found.accountant.startswith("closed form")


def test_the_documented_table_is_what_the_benchmark_computes() -> None:
    document = (Path(__file__).parents[3] / "docs" / "privacy.md").read_text()
    for epsilon in EPSILONS:
        before, now, saved, replacement = row(epsilon)
        line = f"| {epsilon:g} | {before:.3f} | {now:.3f} | {saved:.1%} | {replacement:.2f} |"
        assert line in document


@pytest.mark.parametrize("epsilon", [8.0, 12.0, 20.0, 1e6])
@pytest.mark.parametrize("noise", [3.0, 50.0])
def test_a_large_limit_allows_a_small_sampled_release(epsilon: float, noise: float) -> None:
    """At low orders, which suit large limits, the series of sampled releases does not converge."""
    small = Spend.of(GaussianRelease(noise, 0.5, 1))
    assert np.isfinite(small.sampled).all()
    assert (np.diff(small.sampled) >= 0).all()
    assert PrivacyLimit(epsilon, 1e-5).allows(small)
    assert PrivacyLimit(epsilon, 1e-5).allows(small.times(2))
