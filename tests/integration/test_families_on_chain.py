"""Each family, strategy and rule through the chain: daemons, requester and auditor, held against
the simulator to the byte.

The daemons are those that `fedpact provider serve` runs, here as threads of one process. Most
requests are open at the same time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fedpact.audit import audit
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.data.dataset import Dataset
from fedpact.data.declared import DeclaredData
from fedpact.data.readers import read_dataset
from fedpact.errors import FedpactError
from fedpact.learning.artefact import decode, encode
from fedpact.learning.families import family_of, represented
from fedpact.learning.held_out import judged_on
from fedpact.learning.personal import PASSES
from fedpact.privacy.ledger.report import LedgerEntry
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.ledger.opening import open_ledger
from fedpact.provider.personal import train_personal
from fedpact.requester import RequestProgress
from fedpact.requester.slices import cut
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, simulate
from fedpact.types.columns import ColumnSchema
from fedpact.types.requests import Status
from fedpact.types.schema import DataSchema, schema_file
from fedpact.types.specification import Specification
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.serving import POLL, Serving, declare, noise_at

PROVIDERS = 3
LONG = dict.fromkeys(("join", "submit", "commit", "reveal", "propose"), 300)
"""Seconds. A busy machine trains for all requests at once; nobody waits for a window's end."""
PLAIN = {"rounds": 2, "max_error": 9990, "windows": LONG, "privacy": {"mode": "none"}}
EVALUATION = 150
UNIT_SIZE = 15
"""Examples of one unit of privacy; without privacy they count one by one."""
LABELS = [str(label) for label in range(10)]
SGD = {"epochs": 1, "batch_size": 16, "learning_rate": 0.1, "momentum": 0.5, "shuffle_seed": 5}
IMAGES = {"labels": LABELS, "features": {"shape": [64], "scale": 9.0}, "local": SGD}
NUMBERS = {
    "task": "regression",
    "labels": [],
    "output": {"column": "digit", "scale": 9.0},
    "features": {"shape": [64], "scale": 9.0},
    "local": SGD,
}
DLMU = {"strategy": {"name": "dlmu", "parameters": {"tau": 0.8}}, "rounds": 3}
CASES = {
    "softmax-regression, steps": {
        **IMAGES,
        "family": {"name": "softmax-regression"},
        "local": {"steps": 3, "learning_rate": 2.0, "momentum": 0.5},
        "score": "contribution",
        "max_error": 5000,
    },
    "linear-regression, server momentum": {
        **NUMBERS,
        "family": {"name": "linear-regression"},
        "strategy": {"name": "fedavgm", "parameters": {"momentum": 0.5}},
        "rounds": 3,
    },
    "mlp, DLMU, a daemon restarted": {
        **IMAGES,
        **DLMU,
        "family": {"name": "mlp", "parameters": {"hidden": [8]}},
    },
    "mlp, regression, median": {
        **NUMBERS,
        "family": {"name": "mlp", "parameters": {"hidden": [8]}},
        "aggregation": {"name": "coordinate-median"},
    },
    "cnn, trimmed mean, personal models": {
        **IMAGES,
        "strategy": {"name": "ditto", "parameters": {"lam": 0.1}},
        "features": {"shape": [8, 8], "scale": 9.0},
        "family": {
            "name": "cnn",
            "parameters": {"form": "mnist", "channels": [4, 4], "hidden": [8]},
        },
        "aggregation": {"name": "trimmed-mean", "parameters": {"share": 0.34}},
    },
    "scattering-linear, sound, server momentum, a daemon restarted": {
        **IMAGES,
        "features": {"shape": [8, 8], "scale": 9.0},
        "family": {"name": "scattering-linear"},
        "strategy": {"name": "fedavgm", "parameters": {"momentum": 0.6}},
        "local": {"steps": 1, "learning_rate": 30.0},
        "privacy": {"mode": "sound", "epsilon": 8.0, "delta": 1e-5, "clipping_norm": 0.1},
        "rounds": 4,
        "score": "contribution",
        "max_error": 5000,
    },
    "char-lstm, norm bounding": {
        **IMAGES,
        "features": {"shape": [64]},
        "family": {
            "name": "char-lstm",
            "parameters": {"embedding": 2, "hidden": 4, "layers": 1},
        },
        "aggregation": {"name": "norm-bounding", "parameters": {"bound": 0.5}},
    },
}
SOUND = {
    "rounds": 2,
    "local": {"steps": 2, "learning_rate": 0.1, "sampling_rate": 0.5},
    "privacy": {"mode": "sound", "epsilon": 6.0, "delta": 1e-5, "clipping_norm": 0.5},
}
BY_UNIT = {
    "char-lstm, sound": {**CASES["char-lstm, norm bounding"], **SOUND},
    "mlp, sound": {
        **CASES["mlp, regression, median"],
        **SOUND,
        "privacy": {**SOUND["privacy"], "adaptive_clipping": {"learning_rate": 0.5}},
    },
}
CASES |= BY_UNIT
RESTARTED = tuple(name for name in CASES if name.endswith("a daemon restarted"))
SLOW = (
    "linear-regression, server momentum",
    "mlp, DLMU, a daemon restarted",
    "mlp, regression, median",
    "char-lstm, norm bounding",
)
"""What these add to the others is tested without a chain, too."""


def whole_digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits as 8 x 8 whole numbers from 0 to 9: pictures, rows or characters."""
    bunch = load_digits()
    return np.floor(bunch.data * 9.99 / 16), bunch.target


@dataclass
class World:
    market: DigitsMarket
    daemons: list[Serving]
    files: list[Path]
    evaluation: tuple[np.ndarray, np.ndarray]
    requests: dict[str, int] = field(default_factory=dict)

    def ask(self, name: str) -> int:
        """The request of a case, made when it is first asked for."""
        if name not in self.requests:
            case = CASES[name]
            draft = self.market.draft(**PLAIN).changed(**case)
            examples = self.examples(case)
            self.requests[name] = self.market.requester.create(draft, examples, PAYMENT)
        return self.requests[name]

    def examples(self, case: dict[str, Any]) -> Dataset:
        """The evaluation set in the case's shape and scale."""
        x, y = self.evaluation
        features = case["features"]
        scaled = (x / features.get("scale", 1.0)).astype(np.float32)
        shaped = scaled.reshape(-1, *features["shape"])
        if "output" in case:
            return Dataset(shaped, (y / case["output"]["scale"]).astype(np.float32), ())
        return Dataset(shaped, y.astype(np.int64), ())


@pytest.fixture(scope="module")
def world(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three daemons at work, and requests of most cases made."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # results depend on it, and all sides run here
    folder = tmp_path_factory.mktemp("families")
    market = open_digits_market(anvil, folder, PROVIDERS)
    x, y = whole_digits()
    files = []
    for number, indices in enumerate(np.array_split(np.arange(EVALUATION, 600), PROVIDERS)):
        files.append(folder / f"provider-{number}.npz")
        names = [f"{number}-{index // UNIT_SIZE}" for index in indices]
        np.savez(files[-1], x=x[indices], y=y[indices], unit=names)
        declare(files[-1], output=ColumnSchema(name="y", range=(0.0, 9.0)))
    daemons = [Serving(anvil.url, market, number, path) for number, path in enumerate(files)]
    world = World(market, daemons, files, (x[:EVALUATION], y[:EVALUATION]))
    for name in CASES:
        if name not in (*RESTARTED, *SLOW):  # in the first each round is to be seen
            world.ask(name)
    yield world
    for daemon in daemons:
        daemon.stop()
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES]
)
def test_a_family_through_the_chain_gives_the_simulators_model(world: World, name: str) -> None:
    market, request = world.market, world.ask(name)
    restarted: set[int] = set()

    def strike(progress: RequestProgress) -> None:
        assert all(daemon.serves for daemon in world.daemons)
        if name in RESTARTED and progress.round >= 2 and progress.round not in restarted:
            restarted.add(progress.round)
            world.daemons[progress.round % PROVIDERS].restart()

    end = market.requester.follow(request, strike, poll_interval=POLL)
    assert end.status is Status.SETTLED
    assert name not in RESTARTED or {2, 3} <= restarted
    fetched = market.requester.fetch(request)
    spec = market.requester.specification(request)
    assert fetched.path.read_bytes() == encode(simulated(world, spec, request, CASES[name]))
    assert audit(market.client, market.store, request, market.auditor).failed == []


def test_a_provider_trains_its_personal_model_from_chain_store_and_its_records(
    world: World,
) -> None:
    market, name = world.market, "cnn, trimmed mean, personal models"
    request, path = world.requests[name], world.files[0]
    assert market.requester.follow(request, poll_interval=POLL).status is Status.SETTLED
    schema = DataSchema.read(schema_file(path))

    def read() -> DeclaredData:
        return DeclaredData.read(path, schema)

    passes: list[tuple[int, int]] = []
    ledger = market.folder / "daemon-0" / "ledger.sqlite"
    before = charges(ledger, market.providers[0], request)
    assert before
    found = train_personal(
        market.client,
        market.providers[0],
        market.store,
        request,
        read,
        lambda *at: passes.append(at),
    )
    in_all = 2 * PASSES
    assert (found.round, passes) == (2, [(one, in_all) for one in range(1, in_all + 1)])
    spec, family = found.specification, family_of(found.specification)
    whole = represented(spec, read_dataset(path, spec))
    judging = judged_on(whole)
    assert (found.trained_on, found.held_out) == (len(whole), len(judging))
    file = market.requester.fetch(request).path
    delivered = decode(file.read_bytes(), family.template(spec))
    assert family.error(spec, delivered, judging.x, judging.y) == found.global_error
    errors = [family.error(spec, one, whole.x, whole.y) for one in (found.model, delivered)]
    assert errors[0] < errors[1]
    assert charges(ledger, market.providers[0], request) == before
    for asks, wanted, said in (
        (market.auditor, request, "is not in the pool"),
        (market.providers[0], world.requests["softmax-regression, steps"], "no personal models"),
    ):
        with pytest.raises(FedpactError, match=said):
            train_personal(market.client, asks, market.store, wanted, read)


@pytest.mark.parametrize("name", BY_UNIT)
def test_units_are_those_that_the_provider_declares_and_pays_for(world: World, name: str) -> None:
    market, request = world.market, world.requests[name]
    assert market.requester.follow(request, poll_interval=POLL).status is Status.SETTLED
    spec = market.requester.specification(request)
    datasets = [read_dataset(path, spec) for path in world.files]
    declared = {one.account: one.samples for one in market.client.pool.members(request)}
    for number, keys in enumerate(market.providers):
        path = world.files[number]
        units = set(DeclaredData.read(path, DataSchema.read(schema_file(path))).units)
        assert declared[keys.address] == len(units) <= len(datasets[number]) / (UNIT_SIZE - 5)
        path = market.folder / f"daemon-{number}" / "ledger.sqlite"
        with open_ledger(path, keys) as ledger:
            made = [entry for entry in ledger.entries() if entry.id.request == request]
            assert [entry.units for entry in made] == [len(units)] * 2
            assert [entry.event for entry in made] == [GaussianRelease.of_round(spec, 1)] * 2
            for unit in units:
                assert ledger.spent(1e-5, [unit]).epsilon >= 0.9 * 6.0
    assert audit(market.client, market.store, request, market.auditor).failed == []


def charges(path: Path, keys: AccountKeys, request: int) -> list[LedgerEntry]:
    """What the ledger holds of this request; its daemon serves others meanwhile, and may let go of
    what it no longer needs to keep."""
    with open_ledger(path, keys) as ledger:
        entries = [one for one in ledger.entries() if one.id.request == request]
    return [replace(one, kept=False) for one in entries]


def simulated(world: World, spec: Specification, request: int, case: dict[str, object]):
    market = world.market
    accounts = {one.account: seat for seat, one in enumerate(market.client.pool.members(request))}
    indices = sorted(range(PROVIDERS), key=lambda n: accounts[market.providers[n].address])
    seats = [
        Seat(seat, read_dataset(world.files[n], spec), SimulatedProvider())
        for seat, n in enumerate(indices)
    ]
    slices = cut(spec, world.examples(case), market.requester_keys)
    return simulate(spec, seats, slices, noise_at).model
