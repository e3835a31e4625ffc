"""The kind `contribution`: settings in, shares and ratios out."""

import pytest

from fedpact.errors import InvalidInput
from lab.contribution.cases import run
from lab.harness import configuration
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case, Scale
from lab.harness.results import Result

TOML = """
title = "Digits, points"
kind = "contribution"
dataset = "digits"
partitions = ["iid"]
metrics = ["pay"]

[methods.quality]
settings = { study = "quality" }

[methods.rider]
settings = { study = "rider", rider = "global" }

[methods.honest]
settings = { study = "honest" }

[methods.votes]
settings = { study = "votes" }

[scales.small]
providers = 4

[scales.small.settings]
examples_each = 100
rounds = 2
slice_examples = 20
test_examples = 100
family = { name = "softmax-regression", parameters = { example_norm = 3.0 } }
local = { steps = 2, learning_rate = 2.0 }
"""


def case_of(method: str, text: str = TOML) -> Case:
    cases = configuration.cases(configuration.parse("little", text), Scale.SMALL)
    return next(case for case in cases if case.method == method)


@pytest.mark.parametrize(
    ("method", "metrics"),
    [
        (
            "quality",
            {
                "rank_correlation",
                "rank_correlation_leave_one_out",
                "rank_correlation_truncated_shapley",
            },
        ),
        ("rider", {"pay", "least_honest_pay"}),
        ("honest", {"invalid", "excluded", "least_honest_pay"}),
        ("votes", {"adverse_last", "adverse_mean", "adverse_even", "adverse_neutral"}),
    ],
)
def test_each_study_reports_its_own_metrics(method: str, metrics: set[str]) -> None:
    case = case_of(method)
    found = Result.of(case, run(case, Checkpoint(lambda _: None)), 1.0)

    assert set(found.metrics) == metrics | {"global_accuracy"}
    assert found.details


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("rounds = 2", "round = 2", "round"),
        ('"quality" }', '"magic" }', "unknown study 'magic'"),
    ],
)
def test_invalid_settings_are_refused(wrong: str, right: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run(case_of("quality", TOML.replace(wrong, right)), Checkpoint(lambda _: None))
