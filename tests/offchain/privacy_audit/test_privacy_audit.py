"""The audits of families: stated bounds hold, and violations are found."""

import pytest

from fedpact.errors import InvalidInput, PrivacyError, SpecificationError
from fedpact.learning.families import family
from fedpact.privacy.accounting import gaussian_epsilon
from fedpact.privacy.attacks import AuditedMode, Check
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.privacy.quantile import QuantileClipping
from fedpact.privacy_audit import constructed, draws
from fedpact.privacy_audit.canary import audit_canaries
from fedpact.privacy_audit.checks import audit
from fedpact.privacy_audit.draws import audit_draws
from fedpact.privacy_audit.members import audit_membership
from fedpact.privacy_audit.release import EPSILON
from fedpact.types.privacy import AdaptiveClipping, Privacy, PrivacyMode

FAMILIES = [
    "softmax-regression",
    "linear-regression",
    "mlp",
    "cnn",
    "char-lstm",
    "scattering-linear",
    "oblivious-trees",
    "generalised-linear",
]
SOFTMAX = "softmax-regression"
DEAR = ("cnn", "char-lstm", "oblivious-trees")
"""Families of which a draw takes long."""
EACH = [pytest.param(name, marks=pytest.mark.slow if name in DEAR else ()) for name in FAMILIES]
CONSTRUCTED = ["text-statistics", pytest.param("random-forest", marks=pytest.mark.slow)]


class Silent(NoiseSource):
    def words(self, count):
        return SeededNoise(0).words(count)

    def half_steps(self, count):
        return SeededNoise(0).half_steps(count) * 0


class Halved(SeededNoise):
    def half_steps(self, count):
        return super().half_steps(count) // 2


@pytest.mark.parametrize("name", EACH)
def test_a_family_shows_a_record_as_much_as_stated(name: str) -> None:
    found = audit_draws(name, draws=200, noise=SeededNoise(1))
    assert found.holds
    assert found.measured == pytest.approx(found.stated, abs=4.5 * found.details["standard_error"])
    # Of epsilon, 1 % of the precision goes to the statistics of a family that gathers any.
    assert EPSILON * 0.99 < gaussian_epsilon(found.stated, 1e-5) <= EPSILON


@pytest.mark.parametrize("name", [SOFTMAX, pytest.param("cnn", marks=pytest.mark.slow)])
def test_sum_and_count_together_show_a_record_as_much_as_stated(name: str) -> None:
    found = audit_draws(name, AuditedMode.ADAPTIVE, draws=400, noise=SeededNoise(9))
    assert found.holds
    assert EPSILON * 0.999 < gaussian_epsilon(found.stated, 1e-5) <= EPSILON


def test_the_least_secure_sum_shows_a_record_as_much_as_stated() -> None:
    found = audit_draws(SOFTMAX, AuditedMode.SECURE, draws=200, noise=SeededNoise(9))
    assert found.holds
    assert EPSILON * 0.999 < gaussian_epsilon(found.stated, 1e-5) <= EPSILON
    with pytest.raises(InvalidInput, match="not by canaries"):
        audit(SOFTMAX, Check.CANARIES, AuditedMode.SECURE)


@pytest.mark.slow
def test_noise_of_one_member_less_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more member than stated colludes, or adds no noise."""
    real = draws.member_integers

    def quiet(training):
        return real(training) if training.dataset.x.size else 0 * real(training)

    monkeypatch.setattr(draws, "member_integers", quiet)
    assert not audit_draws(SOFTMAX, AuditedMode.SECURE, draws=500, noise=SeededNoise(9)).holds


def test_a_count_without_noise_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def raw(self, norms, clipping_norm, expected_batch, noise):
        return float((norms <= clipping_norm).sum()) / expected_batch

    monkeypatch.setattr(QuantileClipping, "noised_share", raw)
    assert not audit_draws(SOFTMAX, AuditedMode.ADAPTIVE, draws=200, noise=SeededNoise(9)).holds


@pytest.mark.slow
def test_an_uncharged_count_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    real = QuantileClipping.of(
        Privacy(
            mode=PrivacyMode.SOUND,
            epsilon=EPSILON,
            delta=1e-5,
            clipping_norm=1.0,
            noise_multiplier=4.0,
            adaptive_clipping=AdaptiveClipping(count_share=0.5),
        )
    )
    assert real is not None
    assert real.gradient_multiplier == pytest.approx(4 * 2**0.5)
    monkeypatch.setattr(QuantileClipping, "gradient_multiplier", property(lambda _: 1.5))
    assert not audit_draws(SOFTMAX, AuditedMode.ADAPTIVE, draws=600, noise=SeededNoise(9)).holds


@pytest.mark.slow
def test_many_draws_of_sum_and_count_agree_to_two_hundredths() -> None:
    found = audit_draws(SOFTMAX, AuditedMode.ADAPTIVE, draws=100_000)
    assert found.measured == pytest.approx(found.stated, abs=0.02)


def test_canaries_do_not_refute_a_norm_that_follows() -> None:
    assert audit_canaries(SOFTMAX, 100, SeededNoise(5), seed=5, mode=AuditedMode.ADAPTIVE).holds


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_document_shows_in_the_least_secure_sum_as_much_as_stated(name: str) -> None:
    found = audit_draws(name, AuditedMode.SECURE, draws=200, noise=SeededNoise(12))
    assert found.holds
    assert EPSILON * 0.999 < gaussian_epsilon(found.stated, 1e-5) <= EPSILON


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_member_without_noise_is_detected_in_a_constructed_model(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = constructed.member_integers

    def quiet(training):
        return real(training) if training.dataset.x.size else 0 * real(training)

    monkeypatch.setattr(constructed, "member_integers", quiet)
    assert not audit_draws(name, AuditedMode.SECURE, draws=500, noise=SeededNoise(9)).holds


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_document_shows_in_a_constructed_model_as_much_as_stated(name: str) -> None:
    found = audit_draws(name, draws=200, noise=SeededNoise(12))
    assert found.holds
    assert EPSILON * 0.999 < gaussian_epsilon(found.stated, 1e-5) <= EPSILON
    with pytest.raises(InvalidInput, match="not by canaries"):
        audit(name, Check.CANARIES)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTRUCTED)
def test_halved_noise_is_detected_in_a_constructed_model(name: str) -> None:
    assert not audit_draws(name, draws=600, noise=Halved(13)).holds


def test_without_noise_the_record_is_certain() -> None:
    found = audit_draws(SOFTMAX, draws=250, noise=Silent())
    assert not found.holds
    assert found.measured is None


def test_halved_noise_is_detected() -> None:
    found = audit_draws(SOFTMAX, draws=300, noise=Halved(2))
    assert not found.holds
    assert found.measured == pytest.approx(2 * found.stated, abs=0.3)


@pytest.mark.slow
def test_missing_clipping_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(family(SOFTMAX))
    real = kind.gradient_sum
    monkeypatch.setattr(
        kind,
        "gradient_sum",
        lambda self, spec, weights, x, y, _: real(self, spec, weights, x, y, None),
    )
    assert not audit_draws(SOFTMAX, draws=500, noise=SeededNoise(3)).holds


def test_the_papers_claim_is_refuted() -> None:
    found = audit_draws(SOFTMAX, AuditedMode.PAPER, draws=200, noise=SeededNoise(4))
    assert not found.holds
    assert found.measured is not None
    assert found.measured > 2 * found.stated


@pytest.mark.parametrize("name", EACH)
def test_canaries_do_not_refute_the_stated_epsilon(name: str) -> None:
    assert audit_canaries(name, 100, SeededNoise(5), seed=5).holds


@pytest.mark.parametrize(
    ("name", "count"), [(SOFTMAX, 100), pytest.param("cnn", 1_000, marks=pytest.mark.slow)]
)
def test_canaries_without_noise_are_found(name: str, count: int) -> None:
    found = audit_canaries(name, count, Silent(), seed=6)
    assert not found.holds


def test_members_are_found_without_privacy_and_not_with_it() -> None:
    found = audit_membership(SOFTMAX, noise=SeededNoise(7), seed=7)
    assert found.holds
    assert found.measured is not None
    assert found.measured < found.details["without_privacy"]


def test_noise_in_the_last_epoch_alone_hides_no_member() -> None:
    found = audit_membership(SOFTMAX, noise=SeededNoise(8), seed=8, mode=AuditedMode.PAPER)
    assert not found.holds
    assert found.measured == pytest.approx(found.details["without_privacy"], abs=0.1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("check", Check)
def test_every_check_of_every_family_at_its_own_size_holds(name: str, check: Check) -> None:
    assert audit(name, check).holds


def test_impossible_audits_are_refused() -> None:
    with pytest.raises(SpecificationError, match="unknown"):
        audit("magic", Check.CANARIES)
    with pytest.raises(InvalidInput, match="draws and membership"):
        audit(SOFTMAX, Check.CANARIES, AuditedMode.PAPER)
    with pytest.raises(PrivacyError, match="at least"):
        audit(SOFTMAX, Check.DRAWS, draws=10)


def test_canaries_too_few_to_refute_anything_are_refused() -> None:
    with pytest.raises(PrivacyError, match="guesses"):
        audit_canaries(SOFTMAX, 39)
