"""The kind `federation`: what its settings mean, and that it resumes."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from fedpact.errors import DataMissing, InvalidInput
from fedpact.learning.families import FAMILIES
from fedpact.learning.strategies import strategy
from fedpact.types.specification import StrategyChoice
from lab.federation.cases import LearningSettings, run
from lab.harness import configuration
from lab.harness.checkpoint import Checkpoint, Progress, Saved
from lab.harness.configuration import Case, Scale
from lab.harness.kinds import runner_of

TOML = """
title = "Digits"
kind = "federation"
dataset = "digits"
partitions = ["class2"]
metrics = ["global_accuracy"]

[settings]
family = { name = "softmax-regression" }
local = { epochs = 1, batch_size = 16, learning_rate = 0.5 }
rounds = 4
train_examples = 400
test_examples = 100

[methods.dlmu]
settings = { strategy = { name = "dlmu", parameters = { tau = 0.8 } } }

[methods.pooled]
settings = { pooled = true }

[scales.small]
providers = 5
"""


def case_of(method: str, text: str = TOML) -> Case:
    cases = configuration.cases(configuration.parse("digits", text), Scale.SMALL)
    return next(case for case in cases if case.method == method)


def ran(case: Case, resumed: Saved | None = None) -> tuple[Mapping[str, Any], list[Any]]:
    told: list[Any] = []
    return run(case, Checkpoint(told.append, resumed, every=0.0)), told


def test_the_kind_is_found_by_its_name() -> None:
    assert runner_of("federation") is run


@pytest.mark.parametrize("name", configuration.names())
def test_the_configurations_name_existing_data_and_partitions(name: str) -> None:
    experiment = configuration.load(name)
    for scale in experiment.scales:
        for case in configuration.cases(experiment, scale, seeds=1):
            if case.kind == "federation":
                settings = LearningSettings.model_validate(case.settings)
                strategy(StrategyChoice(**settings.strategy))
                assert settings.family["name"] in FAMILIES
                assert settings.sampled is None or settings.sampled <= case.providers
        assert set(experiment.units) <= {*experiment.metrics, *experiment.curves}


def test_a_resumed_run_gives_the_same_result() -> None:
    whole, told = ran(case_of("dlmu"))
    half = next(
        event
        for event, before in zip(told[1:], told, strict=False)
        if isinstance(event, Saved) and before == Progress(2, 4)
    )
    again, retold = ran(case_of("dlmu"), half)

    assert again == whole
    assert next(event for event in retold if isinstance(event, Progress)) == Progress(3, 4)


def test_settings_choose_the_number_of_examples_and_their_owners() -> None:
    dlmu, _ = ran(case_of("dlmu"))
    pooled, _ = ran(case_of("pooled"))

    assert len(dlmu["details"]["examples"]) == 5
    assert sum(dlmu["details"]["examples"]) == 400
    assert pooled["details"]["examples"] == [400]
    assert dlmu["details"]["test_examples"] == 100
    assert len(dlmu["curves"]["local_accuracy"]) == 4
    assert dlmu["metrics"]["global_accuracy"] == dlmu["curves"]["global_accuracy"][-1]


def test_another_seed_is_another_run() -> None:
    cases = configuration.cases(configuration.parse("digits", TOML), Scale.SMALL, seeds=2)
    first, second = [ran(case)[0] for case in cases if case.method == "dlmu"]

    assert first["curves"] != second["curves"]


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("rounds = 4", "rounds = 0", "settings.rounds"),
        ("rounds = 4", "rounds = 4\nepochs = 3", "settings.epochs"),
        ("epochs = 1", "epoch = 1", "local"),
        ("class2", "class3", "3 of 10 labels cannot be split across 5 providers"),
    ],
)
def test_invalid_settings_are_refused(wrong: str, right: str, said: str) -> None:
    with pytest.raises(Exception, match=said) as error:
        ran(case_of("dlmu", TOML.replace(wrong, right)))
    assert isinstance(error.value, InvalidInput)


def test_missing_data_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDPACT_DATA", raising=False)
    with pytest.raises(DataMissing, match="fashion-mnist: set FEDPACT_DATA"):
        ran(case_of("dlmu", TOML.replace('dataset = "digits"', 'dataset = "fashion-mnist"')))


@pytest.mark.skipif("FEDPACT_DATA" not in os.environ, reason="needs C-MAPSS below FEDPACT_DATA")
def test_a_regression_gives_its_errors_in_units_of_the_cap() -> None:
    text = (
        TOML.replace('"digits"', '"cmapss-fd001"')
        .replace("class2", "group")
        .replace("softmax-regression", "linear-regression")
        .replace("learning_rate = 0.5", "learning_rate = 0.001")
    )
    found, _ = ran(case_of("pooled", text))

    assert 0 < found["metrics"]["mae"] <= found["metrics"]["rmse"] < 1
    assert found["metrics"]["mae"] == pytest.approx(found["curves"]["mae"][-1], abs=1e-6)


PRIVATE = TOML.replace("epochs = 1", "epochs = 3").replace(
    "[scales.small]",
    """[methods.claimed]
settings = { privacy = { mode = "paper", mechanism = "ddp-sgd", epsilon = 5.0, delta = 1e-5 } }

[methods.sound]
settings = { privacy = { mode = "sound", epsilon = 5.0, delta = 1e-5, clipping_norm = 1.0 } }

[scales.small]""",
)
STEPS = "[settings]\nsound_local = { steps = 2, learning_rate = 1.0 }\n"


@pytest.mark.slow
def test_claimed_and_guaranteed_privacy_are_kept_apart() -> None:
    # Providers of one size need one calibration.
    text = PRIVATE.replace("[settings]\n", STEPS).replace("class2", "iid")
    claimed, sound = (ran(case_of(name, text))[0] for name in ("claimed", "sound"))
    assert claimed["privacy"] == {
        "mode": "paper",
        "mechanism": "ddp-sgd",
        "epsilon": 5.0,
        "delta": 1e-5,
        "note": "claimed by the paper, not guaranteed",
    }
    assert sound["privacy"]["mode"] == "sound"
    assert 4.9 < sound["privacy"]["epsilon"] <= 5 < sound["privacy"]["epsilon_replacement"]
    assert ran(case_of("dlmu", text))[0]["privacy"] == {"mode": "none"}


def test_mode_sound_needs_its_own_steps() -> None:
    with pytest.raises(InvalidInput, match=r"sound needs settings\.sound_local"):
        ran(case_of("sound", PRIVATE))
