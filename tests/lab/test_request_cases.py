"""The kind `request`: a whole request on fixed features, as a case of the runner."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedpact.data import sources
from fedpact.data.sources import TrainTestData
from fedpact.demo.scattering_settings import STEPS
from fedpact.errors import InvalidInput
from lab.fixed_features import request as scattering_request
from lab.fixed_features import training as privacy_fixed_features
from lab.fixed_features.request_cases import run
from lab.harness import configuration
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case, Device, Scale

STEP = {"learning_rate": 30.0, "clipping_norm": 0.1, "momentum": 0.5}


def drawn(seed: int) -> TrainTestData:
    """8 x 8 images, bright on the left or on the right, on top or at the bottom."""
    generator = np.random.default_rng(seed)
    y = np.arange(500) % 4
    x = generator.random((500, 8, 8), dtype=np.float32) / 4
    for label in range(4):
        row, column = divmod(label, 2)
        x[y == label, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.5
    return TrainTestData("drawn", x[:400], y[:400], x[400:], y[400:], ("0", "1", "2", "3"), 1.0)


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sources.SOURCES, "drawn", drawn)
    monkeypatch.setattr(scattering_request, "FEATURES", tmp_path)
    monkeypatch.setattr(scattering_request, "ROUNDS", 4)
    for module in (scattering_request, privacy_fixed_features):
        monkeypatch.setattr(module, "PUBLIC_EXAMPLES", 240)


CASE = Case(
    experiment="drawn",
    kind="request",
    scale=Scale.FULL,
    dataset="drawn",
    partition="class2",
    providers=2,
    method="sound",
    seed=1,
    settings={"epsilon": 8.0, "step": STEP},
    device=Device.CPU,
)


def test_a_case_runs_a_request_and_reports_what_its_epsilon_covers() -> None:
    found = run(CASE, Checkpoint(lambda _: None))
    assert found["metrics"]["global_accuracy"] > 0.8
    assert found["metrics"]["included"] == 1.0
    privacy, details = found["privacy"], found["details"]
    assert (privacy["mode"], privacy["delta"], privacy["adjacency"]) == ("sound", 1e-5, "zero-out")
    assert 7.99 < privacy["epsilon"] <= 8.0 < privacy["epsilon_replacement"]
    assert details["rounds"] == 4
    assert sum(details["examples"]) == 400 - 240
    assert run(CASE, Checkpoint(lambda _: None))["metrics"] == found["metrics"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epsilon": 2.0}, "no step was chosen for 'drawn'"),
        ({"epsilon": -1.0}, "settings.epsilon"),
        ({"epsilon": 2.0, "step": {**STEP, "rate": 1.0}}, r"settings.step.rate"),
    ],
)
def test_an_invalid_case_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run(replace(CASE, settings=settings), Checkpoint(lambda _: None))


@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_each_configuration_has_a_step(data: str) -> None:
    experiment = configuration.load(f"privacy-request-{data}")
    cases = configuration.cases(experiment, Scale.FULL)
    assert {case.settings["epsilon"] for case in cases} == {2, 3, 5, 10}
    assert {case.dataset for case in cases} <= set(STEPS)
