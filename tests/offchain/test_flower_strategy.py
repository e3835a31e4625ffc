"""What `fedpact.flower.Strategy` refuses, by name and before anything is asked of the market, and
what it makes of rounds that failed.

tests/integration/test_flower_strategy.py runs it on a chain.
"""

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedpact.errors import (
    FedpactError,
    InvalidInput,
    NodeUnreachable,
    SettingsError,
    StoreUnreachable,
    TransactionTimeout,
    UnfundedAccount,
)
from fedpact.learning.packages import package_of_app
from fedpact.requester.draft import Draft
from fedpact.requester.final_rounds import Round
from tests.support import flower_apps
from tests.support.flower_apps import NUMPY_RUN, installed

pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")

from flwr.app import Array, ArrayRecord, ConfigRecord

from fedpact.flower import Strategy, _Arrays, _differing

FIELDS: dict[str, Any] = {
    **flower_apps.FIELDS,
    "family": {
        "name": "flower",
        "parameters": {"app": "numpyexample.client_app:app", "run_config": NUMPY_RUN},
    },
}
PARAMETERS = FIELDS["family"]["parameters"]


@pytest.fixture(scope="module", autouse=True)
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield installed("numpy-client", "0.1.0", tmp_path_factory.mktemp("app"), patch)
    package_of_app.cache_clear()


class Asked(Exception):
    """The market was asked."""


class Market:
    """In place of the market."""

    def requests(self) -> list[Any]:
        raise Asked

    def request_by_id(self, number: int) -> Any:
        raise Asked


def strategy(**fields: Any) -> Strategy:
    return Strategy(Market(), Draft({**FIELDS, **fields}), None, pay="1 ether")  # type: ignore[arg-type]


def parameters(**changed: Any) -> dict[str, Any]:
    return {"name": "flower", "parameters": {**PARAMETERS, **changed}}


def arrays(value: Any = None) -> Any:
    return ArrayRecord([np.zeros((3, 2)) if value is None else value])


def asked(made: Strategy, **options: Any) -> Draft:
    """The draft of a start."""
    given = {"num_rounds": 2, "timeout": None, "train_config": None} | options
    draft, _ = made._asked(arrays(), **given)
    return draft


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rounds": 3}, r"leave rounds out: start\(\) says it"),
        (
            {"seed": 1, "initial_model": "a", "family": parameters(server="a:b", arrays="[]")},
            "initial_model, seed, family.parameters.server, family.parameters.arrays out",
        ),
        ({"family": {"name": "oblivious-trees"}}, 'family.name must be "flower"'),
        ({"family": None}, 'family.name must be "flower"'),
        ({"family": {"name": "flower"}}, "family.parameters must name the app"),
    ],
)
def test_a_draft_that_says_what_start_says_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        strategy(**fields)


def test_a_draft_that_is_none_is_refused() -> None:
    for given in (FIELDS, None):
        with pytest.raises(InvalidInput, match="draft: a Draft or the path of a file is needed"):
            Strategy(Market(), given, None, pay="1 ether")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"draft none\.toml: No such file"):
        Strategy(Market(), "none.toml", None, pay="1 ether")  # type: ignore[arg-type]


def test_starts_for_the_same_differ_in_first_arrays_and_evaluation_set_alone() -> None:
    spec = asked(strategy()).specification
    features = spec.features.model_copy(update={"columns": ("a", "b", "c")})
    again = spec.model_copy(update={"initial_model": "other", "features": features})
    assert _differing(again, spec) == []
    wider = asked(strategy(features={"shape": [4]}), num_rounds=3).specification
    assert _differing(wider, spec) == ["features", "rounds"]


def test_a_start_that_names_columns_differs_from_a_request_for_others() -> None:
    """It went on with the request by its number, or was refused as a start for the same."""
    named = strategy(features={"shape": [3], "columns": ["a", "b", "c"]})
    others = strategy(features={"shape": [3], "columns": ["a", "b", "d"]})
    spec = asked(named).specification
    published = asked(others).specification
    assert _differing(published, spec) == ["features"]
    assert _differing(published.model_copy(update={"features": spec.features}), spec) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"initial_arrays": [np.zeros(3)]}, "initial_arrays: an ArrayRecord is needed, not list"),
        ({"initial_arrays": None}, "initial_arrays: an ArrayRecord is needed, not NoneType"),
        ({"initial_arrays": ArrayRecord()}, "initial_arrays: .*needs arrays of distinct names"),
        ({"initial_arrays": arrays(np.zeros(3, np.uint8))}, "array '0' is uint8: an update is"),
        ({"initial_arrays": arrays(np.array(["a"]))}, "initial_arrays: array '0' is <U1"),
        ({"initial_arrays": arrays(np.zeros((0, 2)))}, "initial_arrays: array '0': shape"),
        ({"initial_arrays": arrays(np.full(3, np.nan))}, "initial_arrays: .*finite"),
        ({"initial_arrays": arrays(np.full(3, 1e300))}, "initial_arrays: .*finite"),
        ({"initial_arrays": arrays(np.full(3, 1e9))}, "initial_arrays: .*1e\\+06"),
        (
            {"initial_arrays": ArrayRecord({"a": Array("float64", (1,), "pickled", b"1")})},
            "initial_arrays: ",
        ),
        ({"num_rounds": 0}, "rounds"),
        ({"num_rounds": "3"}, "rounds"),
        ({"num_rounds": 10**6}, "rounds"),
        ({"timeout": 0}, "timeout: a number of seconds is needed, not 0"),
        ({"timeout": float("nan")}, "timeout: a number of seconds is needed, not nan"),
        ({"timeout": "60"}, "timeout: a number of seconds is needed, not '60'"),
        ({"timeout": 20}, "of windows.submit"),
        (
            {"train_config": ConfigRecord({"key": b"1"})},
            "train_config: 'key' is not a number, text",
        ),
        ({"train_config": [1]}, r"train_config: settings by name are needed, not \[1\]"),
        ({"evaluate_config": ConfigRecord({"lr": 0.1})}, "evaluate_config: members evaluate with"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_anything_is_asked(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        strategy().start(None, **{"initial_arrays": arrays(), **options})


def test_nothing_is_said_twice() -> None:
    with pytest.raises(InvalidInput, match="run_config: the draft has one too"):
        Strategy(Market(), Draft(FIELDS), None, pay="1 ether", run_config={})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"timeout: the draft has windows\.submit"):
        asked(strategy(windows={"submit": 900}), timeout=60)
    twice = strategy(family=parameters(train_config="lr = 0.1"))
    with pytest.raises(InvalidInput, match="train_config: the draft has one too"):
        asked(twice, train_config=ConfigRecord({"lr": 0.2}))
    spec = asked(twice).specification
    assert spec.family.parameters["train_config"] == "lr = 0.1"


def test_settings_arrays_rounds_and_timeout_go_into_the_request() -> None:
    family = parameters()
    del family["parameters"]["run_config"]
    made = Strategy(
        Market(),  # type: ignore[arg-type]
        Draft({**FIELDS, "family": family}),
        None,
        pay="1 ether",
        run_config={"params.eta": 0.1, "penalty": "l2", "warm": True},
    )
    config = ConfigRecord({"lr": 0.5, "layers": [3, 4]})
    spec = asked(made, num_rounds=7, timeout=1799.5, train_config=config).specification
    assert spec.rounds == 7
    assert spec.windows.submit == 1800
    assert spec.family.parameters["train_config"] == '"lr" = 0.5, "layers" = [3, 4]'
    run = spec.family.parameters["run_config"]
    assert run == '"params.eta" = 0.1, "penalty" = "l2", "warm" = true'
    assert spec.family.parameters["arrays"] == '[["0","float64",[3,2]]]'
    assert strategy().start.__defaults__ == (3, None, None, None, None)


def test_arrays_come_back_in_the_apps_order_names_and_types() -> None:
    given = ArrayRecord(
        {
            "weight": Array(np.arange(6.0).reshape(2, 3)),
            "bias": Array(np.ones(3, np.float16)),
            "a scale": Array(np.array(0.5, np.float32)),
        }
    )
    read = _Arrays.of(given)
    back = read.record(read.model)
    assert list(back) == ["weight", "bias", "a scale"]
    for name, one in given.items():
        assert back[name].numpy().dtype == one.numpy().dtype
        assert np.array_equal(back[name].numpy(), one.numpy())


@pytest.mark.parametrize(
    ("final", "told"),
    [
        ([1, 3], ["request 4: 2 of 3 rounds became final"]),
        ([2], ["request 4: 1 of 3 rounds became final"]),
        ([1, 2, 3], []),
    ],
)
def test_rounds_that_failed_are_counted_by_a_warning(
    final: list[int], told: list[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """In a drawn pool a request goes on after them."""

    class Request:
        id = 4

        def __init__(self, asked: Draft) -> None:
            self.specification = asked.specification

        def follow(self, **_: Any) -> Iterator[Round]:
            return (Round(number, None, (), "cid", "0x", None) for number in final)

        def result(self) -> Any:
            return SimpleNamespace(weights={"0": np.ones((3, 2))})

    market = SimpleNamespace(
        requests=list, request=lambda asked, *_, **__: Request(asked), first_models=tmp_path
    )
    called: list[int] = []
    made = Strategy(market, Draft(FIELDS), None, pay="1 ether")  # type: ignore[arg-type]
    made.start(None, arrays(), 3, evaluate_fn=lambda number, _: called.append(number))
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warned == told
    assert called == [0, final[-1]]


def test_the_steps_of_flowers_own_rounds_are_refused() -> None:
    """Another strategy that wraps this one would call them, and leave the market out."""
    for name in ("configure_train", "aggregate_train", "configure_evaluate", "aggregate_evaluate"):
        with pytest.raises(InvalidInput, match=f"{name}: fedpact's rounds"):
            getattr(strategy(), name)(1, [])


def test_a_number_that_is_none_is_refused() -> None:
    """`Market.request_by_id` judges the number; 0 is not taken for none."""
    made = Strategy(Market(), Draft(FIELDS), None, pay="1 ether", request_id=0)  # type: ignore[arg-type]
    with pytest.raises(Asked):
        made.start(None, arrays())


def test_without_flower_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fedpact.flower")
    for name in ("flwr", "flwr.app"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=r"pip install 'fedpact\[flower\]'") as refused:
        importlib.import_module("fedpact.flower")
    assert isinstance(refused.value, FedpactError)


class Stopped(BaseException):
    """The process was killed while it published."""


class Publishing(Market):
    """A market that keeps what it is asked to publish, and may be stopped meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.first_models = folder
        self.published: list[bytes] = []
        self.fails: BaseException | None = None
        self.shown: list[Any] = []

    def requests(self) -> list[Any]:
        return list(self.shown)

    def request(self, draft: Draft, evaluation: Any, *, pay: str) -> Any:
        self.published.append(Path(draft.fields["initial_model"]).read_bytes())
        if self.fails is not None:
            raise self.fails
        return SimpleNamespace(id=len(self.published))

    def started(self, value: float, **options: Any) -> None:
        """The part of a start that publishes; its first arrays have this value."""
        made = Strategy(self, Draft(FIELDS), None, pay="1 ether")  # type: ignore[arg-type]
        given = {"num_rounds": 2, "timeout": None, "train_config": None} | options
        made._published(*made._asked(arrays(np.full((3, 2), value)), **given))


@pytest.mark.parametrize("stop", [Stopped(), TransactionTimeout("late"), NodeUnreachable("gone")])
def test_a_start_that_may_have_been_paid_goes_on_with_its_first_arrays_alone(
    tmp_path: Path, stop: BaseException
) -> None:
    """Other arrays made another request, which was paid too if the first one's transaction was
    still on its way; then they were put aside, and the earlier ones published and paid for."""
    market = Publishing(tmp_path / "first")
    market.fails = stop
    with pytest.raises(type(stop)):
        market.started(1.0)
    with pytest.raises(type(stop)):
        market.started(2.0, num_rounds=3)  # another request
    market.fails = None
    said = "a start for the same with other first arrays was stopped while it published"
    with pytest.raises(InvalidInput, match=said) as refused:
        market.started(3.0)
    journal = Path(str(refused.value).split("delete ")[1].split(" to ")[0])
    market.fails = UnfundedAccount("the account is empty now")
    with pytest.raises(UnfundedAccount):
        market.started(1.0)
    assert journal.exists(), "the first one may be paid all the same"
    market.fails = None
    market.started(1.0)
    assert not journal.exists()
    market.started(4.0)
    first, other, again, anew, later = market.published
    assert first == again == anew
    assert len({first, other, later}) == 3
    assert len(list(market.first_models.glob("*.safetensors"))) == 3, "the named files stay"


@pytest.mark.parametrize(
    "refusal",
    [UnfundedAccount("fund it"), InvalidInput("bad window"), StoreUnreachable("no store")],
)
def test_a_start_that_was_refused_leaves_nothing_to_go_on_with(
    tmp_path: Path, refusal: FedpactError
) -> None:
    """The next start with other arrays published those of the refused one."""
    market = Publishing(tmp_path / "first")
    market.fails = refusal
    with pytest.raises(type(refusal)):
        market.started(1.0)
    market.fails = None
    market.started(2.0)
    first, second = market.published
    assert first != second
    assert not list(market.first_models.glob("*.journal"))


def test_a_start_whose_request_the_chain_shows_stands_in_no_other_ones_way(tmp_path: Path) -> None:
    """Killed once it had paid, gone on with by its number, and over: the next one is new."""
    market = Publishing(tmp_path)
    spec = asked(strategy()).specification
    market.shown = [SimpleNamespace(specification=spec)]  # an earlier one, for the same
    market.fails = Stopped()
    with pytest.raises(Stopped):
        market.started(1.0)
    market.fails = None
    with pytest.raises(InvalidInput, match="was stopped while it published"):
        market.started(2.0)
    other = spec.model_copy(update={"rounds": 9})
    market.shown += [SimpleNamespace(specification=other)]
    with pytest.raises(InvalidInput, match="was stopped while it published"):
        market.started(2.0)
    market.shown += [SimpleNamespace(specification=spec)]
    market.started(2.0)
    assert len(market.published) == 2


def test_a_journal_that_is_gone_when_the_request_is_published_is_no_error(tmp_path: Path) -> None:
    """Two starts at once, or a user who deletes it: FileNotFoundError came after the payment."""

    class Deleting(Publishing):
        def request(self, draft: Draft, evaluation: Any, *, pay: str) -> Any:
            for one in self.first_models.glob("*.journal"):
                one.unlink()
            return super().request(draft, evaluation, pay=pay)

    Deleting(tmp_path).started(1.0)
