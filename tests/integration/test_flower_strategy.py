"""`fedpact.flower.Strategy` in ServerApps, on a real chain with daemons as processes.

Flower's own quickstarts, unmodified, are tested where FLOWER_EXAMPLES names a checkout of them.
"""

import logging
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fedpact
from fedpact.data.dataset import Dataset
from fedpact.learning.flower.app_host import host_of
from fedpact.learning.flower.serving import stand_in
from fedpact.learning.packages import package_of_app
from fedpact.types.requests import Status
from tests.support.flower_apps import (
    IRISES,
    NUMPY_RUN,
    SPECIES,
    WINDOWS,
    digits,
    given,
    installed,
    iris_files,
    irises,
    quickstart,
    serve_app,
    torchvision_stand_in,
)
from tests.support.world import World, running_world

pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")

from flwr.app import ArrayRecord, Context, MetricRecord, RecordDict

from fedpact.flower import Strategy

PAY = "0.5 ether"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, one in list(sys.modules.items()):
        if str(getattr(one, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]  # an app's, or what stands in for a library
    host_of.cache_clear()
    package_of_app.cache_clear()


def draft(app: str, parameters: dict[str, Any], **fields: Any) -> fedpact.Draft:
    """What a strategy needs to know besides what `start` says."""
    given = {"app": f"{app}.client_app:app", **parameters}
    return fedpact.Draft(
        {
            "title": "Flower",
            "category": "flower",
            "family": {"name": "flower", "parameters": given},
            "local": {"groups": 1, "seconds": 120},
            "privacy": {"mode": "none"},
            "min_providers": 2,
            "max_providers": 2,
            "score": "model",
            "max_error": 9000,
            "windows": WINDOWS,
            **fields,
        }
    )


def parameters_changed(draft: fedpact.Draft, **changed: Any) -> fedpact.Draft:
    family = draft.fields["family"]
    return draft.changed(family={**family, "parameters": {**family["parameters"], **changed}})


@contextmanager
def requester(world: World) -> Iterator[fedpact.Market]:
    config = world.network.folder / "requester.toml"
    config.write_text(world.network.settings("requester", 0.05))
    with fedpact.connect(config) as market:
        yield market


def context(**run: Any) -> Context:
    return Context(1, 1, {}, RecordDict(), run)


class Interrupting(logging.Handler):
    """Ctrl-C at the first line that has these words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words, self.lines = words, []  # type: tuple[str, list[str]]

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if self.words in self.lines[-1]:
            self.words = "\0"
            # A shell's background ignores it, and passes that on.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.raise_signal(signal.SIGINT)


def test_a_flower_user_gets_a_model_that_the_market_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted by Ctrl-C in the middle, started again, and paid once."""
    installed("numpy-client", "0.1.0", folder / "app", monkeypatch)
    x, y = digits()
    asked = draft(
        "numpyexample",
        {"run_config": NUMPY_RUN.replace("0.5", "0.002")},
        labels=[str(label) for label in range(10)],
        features={"shape": [64], "scale": 16.0},
    )
    first = ArrayRecord([np.zeros((64, 10)), np.zeros(10)])
    seen: list[tuple[int, float]] = []

    def evaluate_fn(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        weights, bias = arrays.to_numpy_ndarrays()
        assert weights.dtype == np.float64
        right = ((x[1600:] @ weights + bias).argmax(axis=1) == y[1600:]).mean()
        seen.append((server_round, float(right)))
        return MetricRecord({"accuracy": float(right)})

    with running_world(folder, providers=2, rounds=1) as world, requester(world) as market:
        files = [folder / f"digits-{number}.npz" for number in range(2)]
        for path, rows in zip(files, np.split(np.arange(200, 1600), 2), strict=True):
            np.savez(path, x=x[rows], y=y[rows].astype(str))
        given(world, asked.fields, files, Dataset(x[:200], y[:200], ()))
        serve_app(world, "numpy-client")
        examples = (x[:200], y[:200].astype(str))

        def start(request_id: int | None = None, **options: Any) -> Any:
            strategy = Strategy(market, asked, examples, pay=PAY, request_id=request_id)
            options = {"num_rounds": 2, "evaluate_fn": evaluate_fn} | options
            return strategy, strategy.start(None, first, **options)

        wrong = parameters_changed(asked, measure="acc")
        with pytest.raises(fedpact.errors.DataError, match="the app measures no 'acc': accuracy"):
            Strategy(market, wrong, examples, pay=PAY).start(None, first, num_rounds=2)
        assert market.requests() == []

        told = Interrupting("[ROUND 1/2]")
        logging.getLogger("flwr").addHandler(told)
        try:
            with pytest.raises(KeyboardInterrupt):
                start()
            [request] = market.requests()
            assert told.lines[-1].startswith(f"stopped: request {request.id} goes on")
            again = "asks for the same and is not over: go on with it by request_id=1"
            with pytest.raises(fedpact.errors.InvalidInput, match=again):
                start()
            with pytest.raises(fedpact.errors.InvalidInput, match="request 1 has other rounds"):
                start(1, num_rounds=3)
            strategy, result = start(1)
        finally:
            logging.getLogger("flwr").removeHandler(told)
        assert any("2 providers" in line for line in told.lines)
        assert [one.id for one in market.requests()] == [1]
        assert strategy.request.progress.status is Status.SETTLED
        assert strategy.request.audit(sealed=False).failed == []
        # Nothing is measured of the first arrays by a start that goes on.
        assert [number for number, _ in seen] == [0, 2]
        assert seen[-1][1] > 0.8
        assert result.evaluate_metrics_serverapp == {2: {"accuracy": seen[-1][1]}}
        rounds = strategy.request.rounds
        for one in rounds:
            measured = result.evaluate_metrics_clientapp[one.number]
            assert dict(measured) == {"accuracy": pytest.approx(1 - one.error)}
            voted = result.train_metrics_clientapp[one.number]
            assert voted["included"] == voted["members"] == 2
            assert voted["points"] == [member.points for member in one.members]
            assert voted["scores"] == [member.score for member in one.members]
        assert list(result.arrays) == ["0", "1"]
        # A request that is over stands in no start's way, and can be read again.
        assert (start(1)[1].arrays["0"].numpy() == result.arrays["0"].numpy()).all()


@pytest.mark.slow
def test_the_server_app_of_scikit_learns_quickstart_goes_on_unchanged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import joblib

    quickstart("quickstart-sklearn", folder / "app", monkeypatch)
    server = imported("sklearnexample.server_app", monkeypatch)
    x, y = irises()
    asked = draft(
        "sklearnexample",
        {"label": "species"},
        labels=list(SPECIES),
        features={"shape": [4], "columns": list(IRISES)},
    )
    run = {"penalty": "l2", "num-server-rounds": 3}
    with running_world(folder, providers=2, rounds=1) as world, requester(world) as market:
        given(world, asked.fields, iris_files(folder, x, y), Dataset(x[:50], y[:50], ()))
        serve_app(world, "quickstart-sklearn")
        examples = (x[:50], [SPECIES[label] for label in y[:50]])
        strategy = Strategy(market, asked, examples, pay=PAY, run_config=run)
        monkeypatch.setattr(server, "FedAvg", lambda **_: strategy)
        server.app(None, context(**run))
        assert strategy.request is not None
        assert strategy.request.audit().failed == []
    model = joblib.load("logreg_model.pkl")
    assert (model.predict(x) == y).mean() > 0.6


@pytest.mark.slow
def test_the_server_app_of_pytorchs_quickstart_goes_on_unchanged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    torchvision_stand_in(quickstart("quickstart-pytorch", folder / "app", monkeypatch))
    server = imported("pytorchexample.server_app", monkeypatch)
    pixels, y = digits()
    small = np.kron(pixels.reshape(-1, 1, 8, 8) / 16, np.ones((1, 3, 4, 4))).astype(np.float32)
    small = np.rint(255 * small)
    asked = draft(
        "pytorchexample",
        {"inputs": "img", "pictures": 1, "measure": "eval_acc"},
        labels=[str(label) for label in range(10)],
        features={"shape": [3, 32, 32], "scale": 255.0},
    )
    run = {
        "num-server-rounds": 2,
        "fraction-evaluate": 0.5,
        "local-epochs": 2,
        "learning-rate": 0.01,
        "batch-size": 16,
    }
    test = [
        {"img": torch.tensor(image / 127.5 - 1), "label": int(label)}
        for image, label in zip(small[1600:], y[1600:], strict=True)
    ]
    # It would be loaded from Hugging Face.
    loader = torch.utils.data.DataLoader(test, batch_size=128)
    monkeypatch.setattr(server, "load_centralized_dataset", lambda: loader)
    results: list[Any] = []

    class Kept(Strategy):
        def start(self, *arguments: Any, **named: Any) -> Any:
            results.append(super().start(*arguments, **named))
            return results[-1]

    with running_world(folder, providers=2, rounds=1) as world, requester(world) as market:
        files = [folder / f"digits-{number}.npz" for number in range(2)]
        for path, rows in zip(files, np.split(np.arange(200, 1400), 2), strict=True):
            np.savez(path, x=small[rows], y=y[rows].astype(str))
        given(world, asked.fields, files, Dataset(small[:200], y[:200], ()))
        serve_app(world, "quickstart-pytorch")
        examples = (small[:200], y[:200].astype(str))
        strategy = Kept(market, asked, examples, pay=PAY, run_config=run)
        monkeypatch.setattr(server, "FedAvg", lambda **_: strategy)
        server.app(None, context(**run))
        assert strategy.request is not None
        assert strategy.request.audit().failed == []
        parameters = strategy.request.specification.family.parameters
        assert parameters["train_config"] == '"lr" = 0.01'
    assert set(torch.load("final_model.pt")) == set(server.Net().state_dict())
    measured = results[0].evaluate_metrics_serverapp
    assert measured[2]["accuracy"] > max(measured[0]["accuracy"], 0.4)


@pytest.mark.slow
def test_the_quickstart_of_xgboost_is_refused_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xgboost")
    quickstart("quickstart-xgboost", folder / "app", monkeypatch)
    server = imported("quickstart_xgboost.server_app", monkeypatch)
    run = {
        "num-server-rounds": 3,
        "fraction-train": 1.0,
        "fraction-evaluate": 1.0,
        "local-epochs": 1,
        "params.objective": "binary:logistic",
    }
    asked = draft("quickstart_xgboost", {}, labels=["0", "1"], features={"shape": [28]})
    strategy = Strategy(Unused(), asked, None, pay=PAY, run_config=run)  # type: ignore[arg-type]
    monkeypatch.setattr(server, "FedXgbBagging", lambda **_: strategy)
    with pytest.raises(fedpact.errors.InvalidInput, match=re.escape("initial_arrays: array '0'")):
        server.app(None, context(**run))


class Unused:
    """A market that nothing may be asked of."""


def imported(module: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A quickstart's ServerApp, in this process as Flower would run it."""
    for name in ("flwr_datasets", "flwr_datasets.partitioner"):
        monkeypatch.setitem(sys.modules, name, None)
    stand_in()
    __import__(module)
    return sys.modules[module]
