"""The kind `robustness`: settings in, shares between 0 and 1 out."""

import os

import pytest

from fedpact.errors import InvalidInput
from lab.harness import configuration
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case, Scale
from lab.harness.results import Result
from lab.robustness.cases import run

TOML = """
title = "Digits, poisoned"
kind = "robustness"
dataset = "digits"
partitions = ["iid"]
metrics = ["accuracy_lost"]

[methods.plain]
settings = { rule = "weighted-mean" }

[grid]
attack = ["nan", "back-door"]
share = [0.2]

[scales.small]
providers = 5

[scales.small.settings]
examples_each = 100
rounds = 2
slice_examples = 20
test_examples = 100
family = { name = "softmax-regression", parameters = { example_norm = 3.0 } }
local = { steps = 2, learning_rate = 2.0 }
"""


def case_of(attack: str, text: str = TOML) -> Case:
    cases = configuration.cases(configuration.parse("little", text), Scale.SMALL)
    return next(case for case in cases if case.settings["attack"] == attack)


def test_an_attack_is_compared_with_the_honest_providers_alone() -> None:
    case = case_of("nan")
    found = Result.of(case, run(case, Checkpoint(lambda _: None)), 1.0)

    assert found.metrics["accuracy_lost"] == pytest.approx(
        max(0.0, found.metrics["honest_alone"] - found.metrics["global_accuracy"])
    )
    assert "back_door_rate" not in found.metrics


@pytest.mark.skipif("FEDPACT_DATA" not in os.environ, reason="needs MNIST below FEDPACT_DATA")
def test_a_back_door_is_reported_with_its_success_rate() -> None:
    case = case_of("back-door", TOML.replace('"digits"', '"mnist"'))
    found = Result.of(case, run(case, Checkpoint(lambda _: None)), 1.0)

    assert {"back_door_rate", "back_door_rate_honest"} <= set(found.metrics)


def test_a_back_door_needs_images() -> None:
    with pytest.raises(InvalidInput, match="needs images"):
        run(case_of("back-door"), Checkpoint(lambda _: None))


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [("rounds = 2", "round = 2", "round"), ('"weighted-mean"', '"magic"', "or rule 'magic'")],
)
def test_invalid_settings_are_refused(wrong: str, right: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run(case_of("nan", TOML.replace(wrong, right)), Checkpoint(lambda _: None))
