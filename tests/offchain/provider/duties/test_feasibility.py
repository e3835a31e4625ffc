"""A request whose training cannot fit its window is declined before joining, records unread."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.errors import PolicyRefusal
from fedpact.learning.families import family_of
from fedpact.provider.context import Cache
from fedpact.provider.duties import feasibility
from fedpact.provider.duties.deciding import FittingData
from fedpact.provider.duties.declining import public_reason
from fedpact.provider.duties.feasibility import fits_its_window, may_pass_its_ceiling
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import request_name
from fedpact.provider.training.work import LocalWork
from fedpact.provider.training.worker_pool import WorkerPool
from fedpact.provider.trials import Trials
from fedpact.types.decline_reason import Reason
from tests.offchain.provider.test_policy import specification
from tests.support.held_provider import RAISES, HeldWork
from tests.support.waiting import PATIENCE, wait_until

UNITS = 10**8
SPEC = specification(local={"steps": 1000, "learning_rate": 0.5})
SECOND, WEEK = 1, 604_800
POLICY = Policy(max_training_seconds=WEEK)


class Unreadable:
    """Records of which only the schema may be asked for."""

    schema = SimpleNamespace(examples_per_unit=1)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the records were asked for {name}")


MATCH: Any = FittingData(SimpleNamespace(name="", records=Unreadable()), UNITS)  # type: ignore[arg-type]


@pytest.fixture
def view() -> Iterator[Any]:
    pool, cache, trials = WorkerPool(LocalWork(), POLICY), Cache(), Trials(PATIENCE, 2, str)
    cache.globals[1, 0] = family_of(SPEC).initial(SPEC, 0)
    cache.specifications[1] = SPEC
    ctx = SimpleNamespace(
        cache=cache,
        policy=POLICY,
        trainer=pool,
        trials=trials,
        deployment=SimpleNamespace(fingerprint=b"\1"),
    )
    plan = SimpleNamespace(join_deadline=0)
    yield SimpleNamespace(
        id=1,
        ctx=ctx,
        terms=SimpleNamespace(submit_window=WEEK),
        pool_facts=SimpleNamespace(plan=plan),
        record=SimpleNamespace(requester="somebody"),
    )
    trials.close()
    pool.close()


def test_what_cannot_end_in_its_window_is_declined_and_what_can_is_not(
    view: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10^11 gradients take hours on the fastest processor, and less than days on a slow one."""
    caplog.set_level(logging.INFO)
    assert fits_its_window(view, SPEC, MATCH)
    assert "a round's training of up to 100000000 examples seems to take" in caplog.text
    view.terms.submit_window = SECOND
    # It is measured once.
    monkeypatch.setattr(WorkerPool, "training", None)
    with pytest.raises(
        PolicyRefusal, match=r"seems to take .* has to fit 0\.8 s 1\.5 times"
    ) as refused:
        fits_its_window(view, SPEC, MATCH)
    assert public_reason(refused.value) is Reason.SIZE
    view.ctx.policy = Policy(training_margin=0)
    assert fits_its_window(view, SPEC, MATCH)


def test_the_policy_bounds_the_time_too(view: Any) -> None:
    view.ctx.policy = Policy(max_training_seconds=1)
    view.ctx.cache.training_seconds[1] = 0.6
    assert fits_its_window(view, SPEC, MATCH) is True
    view.ctx.cache.training_seconds[1] = 0.7
    with pytest.raises(PolicyRefusal, match=r"0\.7 s here, and has to fit 1\.0 s 1\.5"):
        fits_its_window(view, SPEC, MATCH)


def held(training: Any, go: Event) -> Any:
    """Trainings that begin when they are let go."""

    @contextmanager
    def begin(name: str, ends: float) -> Iterator[Any]:
        go.wait(PATIENCE)
        yield training

    return begin


def test_nothing_waits_while_it_is_measured(view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    view.ctx.trials, go = Trials(0.0, 2, str), Event()
    monkeypatch.setattr(
        view.ctx.trainer, "training", held(SimpleNamespace(round_seconds=lambda _: 1.0), go)
    )
    assert not fits_its_window(view, SPEC, MATCH)
    assert not fits_its_window(view, SPEC, MATCH)
    go.set()
    wait_until(lambda: fits_its_window(view, SPEC, MATCH), "it was not measured")


def test_without_sound_nothing_is_said_in_public(view: Any) -> None:
    view.ctx.cache.training_seconds[1] = WEEK
    openly = SPEC.model_copy(update={"privacy": specification(privacy={"mode": "none"}).privacy})
    with pytest.raises(PolicyRefusal) as refused:
        fits_its_window(view, openly, MATCH)
    assert public_reason(refused.value) is None


def test_a_trial_that_does_not_end_declines_and_one_that_fails_does_not(
    tmp_path: Path, view: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    view.ctx.trainer = WorkerPool(HeldWork(tmp_path), POLICY)
    assert fits_its_window(view, SPEC.model_copy(update={"title": RAISES}), MATCH)
    assert "could not be measured" in caplog.text
    view.ctx.trainer.close()

    view.ctx.cache.training_seconds.clear()
    view.ctx.trainer = WorkerPool(LocalWork(), POLICY)
    monkeypatch.setattr(feasibility, "TRIAL_SECONDS", 0.01)
    with pytest.raises(PolicyRefusal, match="did not end"):
        fits_its_window(view, SPEC, MATCH)
    view.ctx.trainer.close()


def test_a_trial_that_the_policy_would_kill_declines(view: Any) -> None:
    """It counted as one that says nothing about time."""
    view.ctx.policy = POLICY.model_copy(update={"max_training_seconds": 0.05})
    view.ctx.trainer = WorkerPool(LocalWork(), view.ctx.policy)
    with pytest.raises(PolicyRefusal):
        fits_its_window(view, SPEC, MATCH)
    view.ctx.trainer.close()


def test_the_training_finds_the_process_of_its_trial(view: Any) -> None:
    """Each start of one loads torch anew."""
    pool = view.ctx.trainer = WorkerPool(LocalWork(), POLICY)
    name = request_name(view.ctx.deployment.fingerprint, view.id)
    try:
        assert fits_its_window(view, SPEC, MATCH)
        [waiting] = pool._all
        assert pool.take(name) is waiting
        pool.keep(name, waiting)

        view.ctx.cache.training_seconds[view.id] = WEEK
        with pytest.raises(PolicyRefusal):
            fits_its_window(view, SPEC, MATCH)
        assert not pool._all, "a request that is declined needs no process"
    finally:
        pool.close()


# -- the ceiling -----------------------------------------------------------------------------------

NOISY = specification(
    local={"steps": 10, "learning_rate": 4.0},
    score="model",
    max_error=2_000,
    labels=[str(label) for label in range(10)],
    features={"shape": [64]},
    privacy={**specification().privacy.model_dump(mode="json"), "noise_multiplier": 200.0},
)
"""On 100 units its models are hardly better than chance, which is an error of 9,000."""
FEW: Any = FittingData(MATCH.data, 100)


@pytest.fixture
def noisy(view: Any) -> Any:
    view.ctx.cache.globals[1, 0] = family_of(NOISY).initial(NOISY, 0)
    view.ctx.policy = Policy(try_ceilings=True)
    return view


def test_a_ceiling_that_noise_alone_exceeds_is_declined(
    noisy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        PolicyRefusal, match=r"leaves an error of at least \d+ .* above its ceiling of 2000"
    ) as refused:
        may_pass_its_ceiling(noisy, NOISY, FEW)
    assert public_reason(refused.value) is Reason.CEILING
    # It is tried once, and a ceiling above it passes.
    monkeypatch.setattr(WorkerPool, "training", None)
    assert may_pass_its_ceiling(noisy, NOISY.model_copy(update={"max_error": 10_000}), FEW)
    noisy.ctx.policy = Policy()
    assert may_pass_its_ceiling(noisy, NOISY, FEW)


def test_what_takes_too_long_to_try_is_not_declined_for_its_ceiling(
    noisy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy.ctx.cache.training_seconds[1] = feasibility.TRIAL_SECONDS
    monkeypatch.setattr(WorkerPool, "training", None)
    assert may_pass_its_ceiling(noisy, NOISY, FEW)


def test_a_trial_of_a_ceiling_that_fails_declines_nothing(
    tmp_path: Path, noisy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    noisy.ctx.trainer = WorkerPool(HeldWork(tmp_path), POLICY)
    assert may_pass_its_ceiling(noisy, NOISY.model_copy(update={"title": RAISES}), FEW)
    assert "ceiling could not be tried" in caplog.text
    noisy.ctx.trainer.close()


def test_nothing_waits_while_a_ceiling_is_tried(
    noisy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy.ctx.trials, go = Trials(0.0, 2, str), Event()
    monkeypatch.setattr(
        noisy.ctx.trainer, "training", held(SimpleNamespace(least_error=lambda _: 1), go)
    )
    assert not may_pass_its_ceiling(noisy, NOISY, FEW)
    go.set()
    wait_until(lambda: may_pass_its_ceiling(noisy, NOISY, FEW), "it was not tried")
