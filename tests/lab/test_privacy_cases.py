"""The kind `privacy`: from settings to accuracy, with what each epsilon needs to be read."""

from pathlib import Path

import numpy as np
import pytest

from fedpact.data import sources
from fedpact.data.sources import TrainTestData
from fedpact.errors import DataMissing, InvalidInput, PrivacyError
from lab.fixed_features import training as privacy_fixed_features
from lab.fixed_features.cases import run
from lab.harness import configuration
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case, Scale
from lab.harness.report import summary_rows
from lab.harness.results import Result
from lab.harness.studies import studies

TOML = """
title = "Drawn images"
kind = "privacy"
dataset = "drawn"
partitions = ["class2"]
metrics = ["global_accuracy"]

[settings]
plan = { rounds = 4, clipping_norm = 0.1, learning_rate = 20.0 }

[methods.sound]

[grid]
epsilon = [2, 10]

[scales.full]
providers = 2
seeds = 1

[[paper]]
partition = "class2"
method = "sound epsilon=2"
metric = "global_accuracy"
value = 0.5
source = "Table 2"
"""


def drawn(seed: int) -> TrainTestData:
    """8 x 8 images, bright on the left or on the right, on top or at the bottom."""
    generator = np.random.default_rng(seed)
    y = np.arange(200) % 4
    x = generator.random((200, 8, 8), dtype=np.float32) / 4
    for label in range(4):
        row, column = divmod(label, 2)
        x[y == label, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.5
    return TrainTestData("drawn", x[:150], y[:150], x[150:], y[150:], ("0", "1", "2", "3"), 1.0)


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sources.SOURCES, "drawn", drawn)
    monkeypatch.setattr(privacy_fixed_features, "PUBLIC_EXAMPLES", 10)
    monkeypatch.chdir(tmp_path)


def cases(text: str = TOML) -> list[Case]:
    return list(configuration.cases(configuration.parse("little", text), Scale.FULL))


def outcome(case: Case) -> Result:
    return Result.of(case, run(case, Checkpoint(lambda _: None)), 1.0)


def test_a_case_reports_accuracy_and_what_its_epsilon_covers() -> None:
    _, case = cases()
    found = outcome(case)

    assert found.metrics["global_accuracy"] > 0.5
    assert found.privacy["mode"] == "sound"
    assert 9.9 < found.privacy["epsilon"] <= 10 < found.privacy["epsilon_replacement"]
    assert (found.privacy["delta"], found.privacy["unit"]) == (1e-5, "record or named unit")
    assert "closed form" in found.privacy["accountant"]
    assert "all gradient sums" in found.privacy["covers"]
    assert sum(found.details["examples"]) == 140
    assert found.details["curve"] == {"4": found.metrics["global_accuracy"]}


def test_a_plan_may_count_mirror_images_as_one() -> None:
    plain, mirrored = (
        outcome(cases(TOML.replace("rate = 20.0", f"rate = 20.0, mirrored = {one}"))[1])
        for one in ("false", "true")
    )
    assert mirrored.details["plan"]["mirrored"] is True
    assert mirrored.details["curve"] != plain.details["curve"]
    # What differs in a mirror alone cannot be told any more: left from right, here.
    assert 0.3 < mirrored.metrics["global_accuracy"] < 0.8


def test_the_summary_names_epsilon_and_delta_beside_the_papers_figure() -> None:
    (study,), _ = studies(
        [configuration.parse("little", TOML)], [outcome(case) for case in cases()]
    )
    strict, loose = summary_rows(study)

    assert (strict["privacy"], strict["delta"], strict["paper"]) == ("sound", 1e-5, 0.5)
    assert (round(strict["epsilon"], 2), round(loose["epsilon"], 2)) == (2.0, 10.0)


def test_the_cases_partition_cuts_the_private_images() -> None:
    even, skewed = (
        outcome(cases(TOML.replace('"class2"', f'"{cut}"'))[0]).details["examples"]
        for cut in ("iid", "dir0.1")
    )
    assert even == [70, 70]
    assert skewed != even


@pytest.mark.parametrize(
    ("wrong", "right", "error", "said"),
    [
        ("rounds = 4", "round = 4", InvalidInput, r"settings.plan.rounds"),
        ("plan =", "plans =", InvalidInput, "settings.plans"),
        ("[2, 10]", "[-1]", PrivacyError, "epsilon"),
        ("[2, 10]", "[0.01]", PrivacyError, "used up"),
        ("plan = {", "#", InvalidInput, "no plan was tuned"),
        ('"drawn"', '"mnist"', DataMissing, "FEDPACT_DATA"),
    ],
)
def test_an_invalid_case_is_refused(
    wrong: str, right: str, error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FEDPACT_DATA", raising=False)
    with pytest.raises(error, match=said):
        run(cases(TOML.replace(wrong, right))[0], Checkpoint(lambda _: None))


@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_each_case_has_the_papers_figure(data: str) -> None:
    experiment = configuration.load(f"privacy-fixed-features-{data}")
    methods = {case.method for case in configuration.cases(experiment, Scale.FULL)}
    assert methods == {figure.method for figure in experiment.paper}
    small = list(configuration.cases(experiment, Scale.SMALL))
    assert [case.settings["epsilon"] for case in small] == [2]


SECURE = TOML.replace(
    "[methods.sound]",
    """[methods.secure]
settings = { secure_sum = { dropouts = 0, colluders = 1, groups = true, poisoners = 1 } }""",
).replace("providers = 2", "providers = 4")


def test_a_secure_sum_says_what_it_assumes() -> None:
    case = cases(SECURE.split("[[paper]]")[0].replace("class2", "iid"))[1]
    found = outcome(case)
    assert set(found.metrics) == {"global_accuracy", "told_apart"}
    assert "if at most 1 of them collude" in found.privacy["covers"]
    assert 9.9 < found.privacy["epsilon"] <= 10


def test_no_more_are_absent_than_may_drop_out() -> None:
    text = SECURE.split("[[paper]]")[0].replace("colluders = 1", "colluders = 1, absent = 1")
    with pytest.raises(InvalidInput, match="1 are absent where 0 may drop out"):
        outcome(cases(text)[0])


def test_terms_that_protect_nobody_fail_before_any_work() -> None:
    text = SECURE.split("[[paper]]")[0].replace("colluders = 1", "colluders = 3")
    with pytest.raises(PrivacyError, match="it needs at least 5"):
        outcome(cases(text)[0])
