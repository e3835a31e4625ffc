"""The specification's schema: tasks, forms of local training, what a document may not mix."""

import pytest

from fedpact.errors import SpecificationError
from fedpact.types.local_training import LocalEpochs, LocalSteps
from fedpact.types.specification import AggregationChoice, Specification, StrategyChoice
from tests.support.specifications import SOUND, specification

LIFE = {"column": "life", "scale": 125.0, "cap": 125.0}


def paper(mechanism, epochs=3, **privacy):
    """A demand of mode `paper` and local training in epochs."""
    given = {"mode": "paper", "mechanism": mechanism, "epsilon": 2.0, "delta": 1e-5, **privacy}
    return {
        "privacy": given,
        "local": {"epochs": epochs, "batch_size": 8, "learning_rate": 0.1},
    }


REGRESSION = {"task": "regression", "labels": [], "output": LIFE}


def test_strategy_and_rule_are_fedavg_and_the_weighted_mean_unless_named():
    spec = specification()
    assert spec.strategy == StrategyChoice(name="fedavg", parameters={})
    assert spec.aggregation == AggregationChoice(name="weighted-mean", parameters={})


def test_local_training_takes_the_form_that_its_fields_name():
    steps = specification(local={"steps": 3, "learning_rate": 1.0})
    epochs = specification(local={"epochs": 2, "batch_size": 32, "learning_rate": 0.1})
    assert isinstance(steps.local, LocalSteps)
    assert isinstance(epochs.local, LocalEpochs)
    assert Specification.decode(epochs.encode()) == epochs


def test_an_epoch_has_a_last_smaller_batch():
    local = LocalEpochs(epochs=3, batch_size=32, learning_rate=0.1)
    assert [local.steps_for(samples) for samples in (31, 32, 33)] == [3, 3, 6]


def test_a_regression_predicts_one_value():
    spec = specification(**REGRESSION)
    assert (spec.outputs, specification().outputs) == (1, 3)
    assert spec.query_key != specification(**{**REGRESSION, "output": {**LIFE, "cap": None}})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"labels": ["a"]}, "needs at least 2"),
        ({"output": LIFE}, "a classification has none"),
        ({"task": "regression"}, "a regression needs output"),
        ({**REGRESSION, "output": None}, "a regression needs output"),
        ({**REGRESSION, "output": {**LIFE, "scale": 0.0}}, "output.scale"),
        ({"local": {"learning_rate": 1.0}}, "local.steps"),
        ({"local": "often"}, "local"),
        ({"local": {"steps": 1, "epochs": 1, "batch_size": 1, "learning_rate": 1.0}}, "local"),
        ({"local": {"epochs": 1, "learning_rate": 1.0}}, "local.epochs.batch_size"),
        (
            {"privacy": SOUND, "local": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0}},
            "mode sound needs local steps",
        ),
        ({"privacy": {"mode": "paper", "epsilon": 2.0}}, "mode paper needs a mechanism: dp-sgd"),
        ({"privacy": {**SOUND, "mechanism": "dp-sgd"}}, "mode sound takes no mechanism"),
        ({"privacy": {**SOUND, "sensitivity": 1.0}}, "mode sound takes no sensitivity"),
        ({"privacy": {"mode": "none", "epsilon": 1.0}}, "mode none takes no epsilon"),
        ({"privacy": {**SOUND, "adaptive_clipping": {}}}, "2 steps at least"),
        (
            {"privacy": {**SOUND, "adaptive_clipping": {"quantile": 1.0}}},
            "adaptive_clipping.quantile",
        ),
        (
            {"privacy": {"mode": "none", "adaptive_clipping": {}}},
            "mode none takes no adaptive_clipping",
        ),
        (paper("dp-sgd"), "mode paper, dp-sgd, needs epsilon, delta, clipping_norm"),
        (paper("ddp-sgd", clipping_norm=1.0), "mode paper, ddp-sgd, takes no clipping_norm"),
        (paper("ddp-sgd", noise_multiplier=1.0), "takes no noise_multiplier"),
        (paper("laplace"), "mode paper, laplace, needs epsilon, sensitivity"),
        (paper("ddp-sgd", epochs=2), "at least 3 local epochs, not 2"),
        ({**paper("ddp-sgd"), "local": {"steps": 1, "learning_rate": 1.0}}, "needs epochs"),
        ({"strategy": "fedavg"}, "strategy"),
        ({"aggregation": {"name": "weighted-mean", "share": 1}}, "aggregation.share"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(changes, named):
    with pytest.raises(SpecificationError, match=named):
        specification(**changes)


def test_an_epsilon_is_stated_with_its_guarantee():
    claimed = specification(**paper("ddp-sgd")).privacy.statement
    assert claimed == (
        "paper, ddp-sgd: epsilon 2 at delta 1e-05, claimed by the paper, not guaranteed"
    )
    sound = specification(privacy=SOUND).privacy.statement
    assert sound == "sound: epsilon 4 at delta 1e-05, for all that a provider releases"
    assert specification().privacy.statement == "none"


def test_mode_paper_survives_encoding():
    asked = specification(**paper("dp-sgd", epochs=1, clipping_norm=0.5))
    assert Specification.decode(asked.encode()) == asked


@pytest.mark.parametrize("auditors", [["0x" + "ab" * 20, "0x" + "AB" * 20], ["ab" * 20]])
def test_auditors_are_accounts_and_named_once(auditors: list[str]) -> None:
    """Members joined a request that nobody could start: its keys were sealed twice to one."""
    with pytest.raises(SpecificationError, match="auditors"):
        specification(auditors=auditors)


def test_judging_on_own_records_is_for_mode_paper_alone() -> None:
    """Votes then say something about records that no epsilon covers."""
    laplace = {"mode": "paper", "mechanism": "laplace", "epsilon": 10.0, "sensitivity": 1.0}
    own = specification(judged_on="own-records", score="model", privacy=laplace)
    assert Specification.decode(own.encode()) == own
    assert b"judged_on" not in specification().encode(), "older specifications keep their bytes"
    for changes in ({"privacy": {"mode": "none"}}, {"score": "contribution"}):
        with pytest.raises(SpecificationError, match="judged_on own-records needs mode paper"):
            specification(
                **{"judged_on": "own-records", "score": "model", "privacy": laplace, **changes}
            )


def test_queries_are_published_under_mode_paper_alone() -> None:
    """What a member's records answer follows from all of them."""
    laplace = {"mode": "paper", "mechanism": "laplace", "epsilon": 10.0, "sensitivity": 1.0}
    texts = {"shape": [], "kind": "text"}
    asked = {"features": texts, "privacy": laplace, "published_queries": ["a leak"]}
    assert Specification.decode(specification(**asked).encode()).published_queries == ("a leak",)
    assert b"published_queries" not in specification().encode()
    assert specification(**asked).query_key == specification(features=texts).query_key
    for changes in ({"privacy": {"mode": "none"}}, {"features": {"shape": [2]}}):
        with pytest.raises(SpecificationError, match="published_queries are for texts under mode"):
            specification(**{**asked, **changes})
