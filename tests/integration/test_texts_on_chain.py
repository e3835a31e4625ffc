"""Texts through the chain: class sums, trees and Algorithm 1, from request to answered queries.

Each model is the simulator's to the byte. The providers' texts lie in a folder, a table and an
array file; what cannot be used is declined, and the daemon serves on.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from fedpact.audit import audit
from fedpact.chain.devnet import Devnet
from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents, pack
from fedpact.data.readers import read_dataset
from fedpact.learning.artefact import encode
from fedpact.requester import RequestProgress
from fedpact.requester.answer import answer_file
from fedpact.requester.draft import Draft
from fedpact.requester.slices import cut
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, simulate
from fedpact.types.requests import Status
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.serving import POLL, Serving, declare, noise_at
from tests.support.text_examples import LABELS, WORDS, text_dataset, texts
from tests.support.waiting import wait_until

PROVIDERS = 3
EVALUATION = text_dataset(90, 1000)
TERMS = " ".join(word for words in WORDS.values() for word in words)
SOUND = {"mode": "sound", "epsilon": 8.0, "delta": 1e-5}
LAPLACE = {"mode": "paper", "mechanism": "laplace", "epsilon": 20.0, "sensitivity": 1.0}
BOOSTED = {"name": "boosted-trees", "parameters": {"depth": 3, "features": 0.5, "terms": TERMS}}
UNION = {"aggregation": {"name": "union"}}
CASES = {
    "class sums": {
        "family": {"name": "text-statistics", "parameters": {"bits": 11}},
        "aggregation": {"name": "class-sums"},
        "score": "contribution",
        "max_error": 5000,
    },
    "class sums, sound": {
        "family": {"name": "text-statistics", "parameters": {"bits": 11}},
        "aggregation": {"name": "class-sums"},
        "privacy": SOUND,
        "score": "contribution",
        "max_error": 5000,
    },
    "a decision tree": {
        "family": {"name": "decision-tree", "parameters": {"depth": 4, "bits": 11}},
        **UNION,
    },
    "a random forest, contributions": {
        "family": {"name": "random-forest", "parameters": {"depth": 4, "trees": 8, "bits": 11}},
        "score": "contribution",
        "max_error": 5000,
        **UNION,
    },
    "a random forest, sound": {
        "family": {"name": "random-forest", "parameters": {"depth": 2, "trees": 60, "bits": 11}},
        "privacy": SOUND,
        **UNION,
    },
    "boosted trees, parallel": {
        "family": BOOSTED,
        "strategy": {"name": "algorithm-one"},
        "rounds": 2,
        **UNION,
    },
    "boosted trees, sequential, a daemon restarted": {
        "family": BOOSTED,
        "strategy": {"name": "algorithm-one", "parameters": {"reading": "sequential"}},
        "rounds": 3,
        **UNION,
    },
    "boosted trees, the paper's noise": {
        "family": BOOSTED,
        "strategy": {"name": "algorithm-one"},
        "privacy": LAPLACE,
        "rounds": 2,
        **UNION,
    },
}
RESTARTED = "boosted trees, sequential, a daemon restarted"
SLOW = (
    "a decision tree",
    "a random forest, contributions",
    "boosted trees, parallel",
    "boosted trees, the paper's noise",
)


def folder(root: Path, part: list[tuple[str, str]]) -> Path:
    """A folder a label; one text is no UTF-8."""
    for number, (text, label) in enumerate(part):
        (root / label).mkdir(parents=True, exist_ok=True)
        data = f"{text} caf\u00e9".encode("latin-1" if number == 0 else "utf-8")
        (root / label / f"{number:03}.txt").write_bytes(data)
    return root


def table(path: Path, part: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *part])
    return path


def arrays(path: Path, part: list[tuple[str, str]]) -> Path:
    np.savez(
        path, **pack(documents([text for text, _ in part])), y=np.array([name for _, name in part])
    )
    return path


@dataclass
class World:
    market: DigitsMarket
    daemons: list[Serving]
    files: list[Path]
    queries: Path
    requests: dict[str, int] = field(default_factory=dict)

    def ask(self, name: str) -> int:
        """The request of a case, made when it is first asked for."""
        if name not in self.requests:
            draft = self.draft(CASES[name])
            self.requests[name] = self.market.requester.create(
                draft, EVALUATION, PAYMENT, queries=self.queries
            )
        return self.requests[name]

    def draft(self, case: dict[str, object]) -> Draft:
        fields = {
            "category": "texts",
            "labels": list(LABELS),
            "features": {"kind": "text", "shape": []},
            "local": {"construction_seed": 4},
            "min_providers": PROVIDERS,
            "max_providers": PROVIDERS,
            "rounds": 1,
            "max_error": 9990,
            "privacy": {"mode": "none"},
            # One is followed after the other: the rest must not run out of time meanwhile.
            "windows": dict.fromkeys(("join", "submit", "commit", "reveal", "propose"), 600),
            **case,
        }
        return self.market.draft(**fields)


@pytest.fixture(scope="module")
def world(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Four daemons at work, one of them with one text alone, and requests of most cases."""
    root = tmp_path_factory.mktemp("texts")
    market = open_digits_market(anvil, root, PROVIDERS + 1)
    parts = [list(zip(*texts(60, 100 + seed), strict=True)) for seed in range(PROVIDERS)]
    empty = [("the of and", name) for name in LABELS for _ in range(20)]
    files = [
        folder(root / "own", parts[0]),
        table(root / "own.csv", parts[1]),
        arrays(root / "own.npz", parts[2]),
        table(root / "stop.csv", empty),
    ]
    queries = root / "queries.txt"
    queries.write_text("anchor and tide\nthunder of a comet\nbarley, a meadow\n")
    for path in files:
        declare(path)
    daemons = [Serving(anvil.url, market, number, path) for number, path in enumerate(files)]
    world = World(market, daemons, files, queries)
    for name in CASES:
        if name not in SLOW:
            world.ask(name)
    yield world
    for daemon in daemons:
        daemon.stop()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES]
)
def test_texts_through_the_chain_are_answered_by_the_simulators_model(
    world: World, name: str
) -> None:
    market, request = world.market, world.ask(name)
    restarted: set[int] = set()

    def strike(progress: RequestProgress) -> None:
        assert all(daemon.serves for daemon in world.daemons)
        if name == RESTARTED and progress.round >= 2 and progress.round not in restarted:
            restarted.add(progress.round)
            world.daemons[progress.round % PROVIDERS].restart()

    end = market.requester.follow(request, strike, poll_interval=POLL)
    assert end.status is Status.SETTLED
    assert name != RESTARTED or restarted == {2, 3}
    fetched = market.requester.fetch(request)
    assert fetched.path.read_bytes() == simulated(world, name)
    answers = answer_file(fetched.path, world.queries)
    assert fetched.error is not None
    assert answers.columns["quality"] == pytest.approx([1 - fetched.error / 10_000] * 3)
    if name == "class sums":
        assert answers.labels == list(LABELS)
    assert all(daemon.serves for daemon in world.daemons)
    assert audit(market.client, market.store, request, market.auditor).failed == []


def simulated(world: World, name: str) -> bytes:
    market, request = world.market, world.requests[name]
    spec = market.requester.specification(request)
    accounts = {one.account: seat for seat, one in enumerate(market.client.pool.members(request))}
    indices = sorted(range(PROVIDERS), key=lambda n: accounts[market.providers[n].address])
    seats = [
        Seat(seat, read_dataset(world.files[n], spec), SimulatedProvider())
        for seat, n in enumerate(indices)
    ]
    slices = cut(spec, EVALUATION, market.requester_keys)
    return encode(simulate(spec, seats, slices, noise_at).model)


def test_a_provider_declines_an_unusable_request_with_the_reason_and_keeps_serving(
    world: World,
) -> None:
    market = world.market
    numbers = Dataset(np.eye(3, dtype=np.float32), np.arange(3), ())
    unusable = market.requester.create(
        market.draft(labels=list(LABELS), features={"shape": [3]}, rounds=1),
        numbers,
        PAYMENT,
    )
    wanted = {unusable: "the data are text, the request asks for numbers"}
    # Nobody starts this one, however late a daemon looks at it.
    size = {"min_providers": PROVIDERS + 1, "max_providers": PROVIDERS + 1}
    asked = market.requester.create(
        world.draft({**CASES["class sums"], **size}), EVALUATION, PAYMENT, queries=world.queries
    )
    for number, reasons in [(0, wanted), (PROVIDERS, {asked: "3 own samples are under 5"})]:
        for request, reason in reasons.items():
            standing = _decided(world.daemons[number], request)
            assert standing[0] == "declined"
            assert reason in standing[1]
    assert all(daemon.serves for daemon in world.daemons)


def _decided(daemon: Serving, request: int) -> tuple[str, str]:
    def decided() -> bool:
        return daemon.standings().get(request, ("new", ""))[0] != "new"

    wait_until(decided, f"request {request} was not decided")
    return daemon.standings()[request]
