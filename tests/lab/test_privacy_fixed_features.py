"""The experiment with fixed features: what it charges, what it keeps apart, that it learns."""

import math
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.sources import TrainTestData
from fedpact.privacy.accounting import cost, gaussian_epsilon
from fedpact.privacy.noise import SeededNoise
from lab.fixed_features import secure
from lab.fixed_features import training as experiment
from lab.fixed_features.secure import SecureSettings
from lab.fixed_features.training import (
    DELTA,
    PLANS,
    Plan,
    Private,
    Task,
    own_noise,
    run_case,
    schedule,
    train,
    tune_case,
)

PLAN = Plan(rounds=12, clipping_norm=0.1, learning_rate=20.0)


def drawn(n: int, seed: int) -> Private:
    """Ten classes around ten unit vectors of 16 values."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 10
    x = np.eye(10, 16)[y] + generator.normal(0, 0.15, (n, 16))
    return Private((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16), y)


@pytest.fixture
def task() -> Task:
    return Task("drawn", 10, drawn(1000, 0), drawn(10_000, 1), drawn(500, 2))


@pytest.mark.parametrize("epsilon", [2.0, 3.0, 5.0, 10.0])
@pytest.mark.parametrize("data", PLANS)
def test_centring_and_all_rounds_together_cost_the_requested_epsilon(
    data: str, epsilon: float
) -> None:
    plan = PLANS[data](epsilon)
    released = schedule(plan, epsilon)
    multiplier = released.releases[1].noise_multiplier
    mu = math.sqrt(plan.rounds / multiplier**2 + 1 / plan.centring_multiplier**2)
    assert epsilon * (1 - 1e-3) < gaussian_epsilon(mu, DELTA) <= epsilon
    assert cost(released, DELTA).epsilon <= epsilon


def test_a_case_learns_and_reports_what_its_epsilon_covers(task: Task) -> None:
    found = run_case(task, 10.0, 0, PLAN)
    assert found["accuracy"] > 0.9
    assert sum(found["examples"]) == 10_000
    privacy = found["privacy"]
    assert privacy["epsilon"] <= 10 < privacy["epsilon_replacement"]
    assert (privacy["delta"], privacy["adjacency"]) == (1e-5, "zero-out")
    assert privacy["unit"] == "record or named unit"
    assert "closed form" in privacy["accountant"]


@pytest.fixture
def scarce() -> Task:
    return Task("drawn", 10, drawn(1000, 0), drawn(1_000, 1), drawn(500, 2))


def test_more_privacy_costs_accuracy(scarce: Task) -> None:
    strict, loose = (run_case(scarce, epsilon, 0, PLAN)["accuracy"] for epsilon in (0.5, 10.0))
    assert strict < loose - 0.1


@pytest.mark.parametrize(
    ("settings", "covers"),
    [
        ({"dropouts": 1, "colluders": 2}, "the sums, of which"),
        ({"dropouts": 1, "colluders": 2, "absent": 1}, "sum of 10 providers"),
        ({"dropouts": 0, "colluders": 1, "groups": True}, "the sums of groups"),
    ],
)
def test_a_secure_sum_adds_less_noise(scarce: Task, settings: dict[str, int], covers: str) -> None:
    own = run_case(scarce, 0.5, 0, PLAN, 10, "iid")
    found = secure.run_case(
        scarce, SecureSettings(**settings), 0.5, 0, PLAN, 10, "iid", examples=None
    )
    assert own["accuracy"] < found["accuracy"] - 0.1
    assert 0.499 < found["privacy"]["epsilon"] <= 0.5
    assert covers in found["covers"]
    assert "each provider by itself" in own["covers"]
    assert found["told_apart"] is None


@pytest.mark.parametrize("data", PLANS)
def test_a_secure_sum_at_epsilon_2_has_less_noise_than_own_noise_at_5(data: str) -> None:
    # In the setting of privacy-secure-sum-*: so it is at least as accurate as own noise at 5.
    plan = PLANS[data](5.0)
    settings = SecureSettings(dropouts=1, colluders=2)
    sums = secure.SecureSums.of(settings, 10, plan, (2.0, DELTA), [], 0)
    own = (plan.centring_multiplier, schedule(plan, 5.0).releases[1].noise_multiplier)
    for release, alone in zip(sums.releases, own, strict=True):
        assert release.multiplier < 0.86 * alone


def test_rounds_through_the_protocol_give_the_same_model(
    scarce: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SecureSettings(dropouts=1, colluders=2, absent=1)
    short = Plan(rounds=3, clipping_norm=0.1, learning_rate=20.0)
    found = []
    for every in (1, 40):
        monkeypatch.setattr(secure, "PROTOCOL_ROUNDS", every)
        found.append(secure.run_case(scarce, settings, 2.0, 0, short, 6, "iid", examples=None))
    assert found[0]["curve"] == found[1]["curve"]


@pytest.mark.parametrize("disputes", [0, 2])
def test_group_scores_tell_poisoners_from_others(task: Task, disputes: int) -> None:
    settings = SecureSettings(dropouts=0, colluders=1, groups=True, poisoners=2, disputes=disputes)
    found = secure.run_case(task, settings, 4.0, 0, PLAN, 12, "iid", examples=None)
    assert found["accuracy"] > 0.9
    assert found["told_apart"] == 1
    members = found["members"]
    assert max(members["worths"][:2]) < min(members["worths"][2:])
    assert max(members["opened"]) == disputes
    assert set(members["accused"]) <= {0, 1}
    assert bool(members["accused"]) == bool(disputes)


def test_a_case_may_use_a_part_of_the_private_images(task: Task) -> None:
    found = run_case(task, 10.0, 0, PLAN, examples=500)
    assert sum(found["examples"]) == 500


def test_the_result_depends_on_the_seed_only(scarce: Task) -> None:
    first, again, other = (run_case(scarce, 0.5, seed, PLAN) for seed in (0, 0, 1))
    del first["cpu_seconds"], again["cpu_seconds"]
    assert first == again
    assert first["curve"] != other["curve"]


def test_every_provider_draws_its_own_noise(task: Task) -> None:
    drawn_by: list[SeededNoise] = [SeededNoise(seed) for seed in range(2)]
    before = [repr(noise._generator.bit_generator.state) for noise in drawn_by]
    summed = own_noise(PLAN, 5.0, drawn_by)
    train([task.public, task.test], task.public, 10, PLAN, summed)
    after = [repr(noise._generator.bit_generator.state) for noise in drawn_by]
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_tuning_uses_only_the_public_slice(task: Task) -> None:
    blind = Task(task.name, task.labels, task.public, drawn(10_000, 9), drawn(500, 9))
    assert tune_case(task, 2.0, PLAN, 0) == tune_case(blind, 2.0, PLAN, 0)


def test_the_public_slice_is_kept_out_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "PUBLIC_EXAMPLES", 30)
    generator = np.random.default_rng(0)
    x, y = generator.random((100, 8, 8), dtype=np.float32), np.arange(100) % 2
    source = TrainTestData("drawn", x[:80], y[:80], x[80:], y[80:], ("0", "1"), 1.0)
    found = Task.of(source, tmp_path)
    public, private = ({row.tobytes() for row in part.x} for part in (found.public, found.private))
    assert (len(public), len(private)) == (30, 50)
    assert not public & private
