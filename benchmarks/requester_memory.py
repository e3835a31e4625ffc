"""Memory of `fedpact requester serve` while it measures a model that was delivered:
docs/results/requester-memory.json.

    make bench-requester-memory

For each family two requests are played to their delivery, one with a small evaluation set and one
with `--megabytes` of it, in four slices; the members only call the contracts, and agree on the
first model. A service of its own is started for each, receives the model, measures it on all slices
and settles. What is reported is the most that its process held: idle, with the small set, and what
each byte of the large set's slices added to that.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from fedpact.data.dataset import Dataset, Inputs
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.types.cid import Cid
from fedpact.types.requests import Status
from tests.offchain.requester.conftest import Played, Scene
from tests.support.chain_request import People
from tests.support.processes import executed
from tests.support.requester_process import Service
from tests.support.waiting import wait_until
from tests.support.world import PAY, World, running_world

SLICES, MEMBERS, WINDOW = 4, 2, 9_000
SMALL = 400
"""Examples; each slice has some of each label."""
MB = 1e6
WORDS = 20_000


@dataclass(frozen=True)
class Case:
    """A family, and what its evaluation examples look like."""

    family: dict[str, Any]
    shape: tuple[int, ...]
    """Of an example; empty for texts."""
    more: dict[str, Any]
    """Of the draft."""

    @property
    def fields(self) -> dict[str, Any]:
        kind = {"scale": 1.0} if self.shape else {"kind": "text"}
        features = {"shape": list(self.shape), **kind}
        return {"family": self.family, "features": features, **self.more}

    def examples(self, count: int) -> Inputs:
        generator = np.random.default_rng(0)
        if self.shape:
            return generator.random((count, *self.shape), dtype=np.float32)
        words = np.array([f"word{number}" for number in range(WORDS)])
        texts = [" ".join(generator.choice(words, 200)) for _ in range(count)]
        return np.array(texts, dtype=object)

    @property
    def example_bytes(self) -> int:
        return 4 * int(np.prod(self.shape)) if self.shape else len(self.examples(1)[0])


STEPS = {"local": {"steps": 1, "learning_rate": 0.1}}
ONE_ROUND = {"rounds": 1, "score": "contribution", "max_error": 5_000}
IMAGE = (28, 28)
NETWORK = {"network": EFFICIENTNET_LITE0.name, "digest": EFFICIENTNET_LITE0.digest}
CASES: dict[str, Case] = {
    "softmax-regression, 3 columns": Case({"name": "softmax-regression"}, (3,), STEPS),
    "softmax-regression, 30 columns": Case({"name": "softmax-regression"}, (30,), STEPS),
    "mlp, 30 columns": Case({"name": "mlp", "parameters": {"hidden": [500]}}, (30,), STEPS),
    "oblivious-trees, 30 columns": Case({"name": "oblivious-trees"}, (30,), STEPS),
    "cnn, images of 28 x 28": Case({"name": "cnn", "parameters": {"form": "mnist"}}, IMAGE, STEPS),
    "scattering-linear, images of 28 x 28": Case({"name": "scattering-linear"}, IMAGE, STEPS),
    "network-linear, images of 28 x 28": Case(
        {"name": "network-linear", "parameters": {**NETWORK, "side": 64}}, IMAGE, STEPS
    ),
    "text-statistics, texts of 200 words": Case(
        {"name": "text-statistics", "parameters": {"bits": 16}},
        (),
        {**ONE_ROUND, "local": {"construction_seed": 0}, "aggregation": {"name": "class-sums"}},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=50.0, help="of the large slices")
    parser.add_argument("--families", nargs="*", default=list(CASES))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {"megabytes": given.megabytes, "families": {}}
    with (
        tempfile.TemporaryDirectory(prefix="fedpact-memory-") as folder,
        running_world(Path(folder), providers=MEMBERS, rounds=SLICES) as world,
    ):
        world.network.start_process = executed
        found["idle_mb"] = idle(world)
        for name in given.families:
            found["families"][name] = of_family(world, CASES[name], given.megabytes)
            print(name, found["families"][name], flush=True)
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


def idle(world: World) -> float:
    service = Service(world.network)
    service.start()
    wait_until(lambda: "serving requests of" in service.log(), service.log)
    resident = peak(world)
    service.stop()
    return resident


def of_family(world: World, case: Case, megabytes: float) -> dict[str, float]:
    small, least = measured(world, case, SMALL)
    large, most = measured(world, case, int(megabytes * MB / case.example_bytes))
    return {
        "small_mb": small,
        "large_mb": large,
        "per_mb_of_slices": round((large - small) / ((most - least) / MB), 2),
    }


def measured(world: World, case: Case, count: int) -> tuple[float, int]:
    """The most that a service held until it had settled, MB; bytes of the request's slices."""
    request = delivered(world, case, count)
    service = Service(world.network)
    service.start()

    def settled() -> bool:
        return request.status is Status.SETTLED

    wait_until(settled, service.log)
    resident = peak(world)
    service.stop()
    assert world.requester.has_model(request.id), service.log()
    evaluation = world.requester.specification(request.id).evaluation
    content = world.network.folder / "content/content"
    return resident, sum((content / str(Cid.parse(one.cid))).stat().st_size for one in evaluation)


def delivered(world: World, case: Case, count: int) -> Played:
    """A request whose model waits for its requester."""
    labels = world.data.draft.specification.labels
    y = np.arange(count, dtype=np.int64) % len(labels)
    draft = world.data.draft.changed(
        title=f"{case.family['name']}, {count} examples",
        windows=dict.fromkeys(world.data.draft.fields["windows"], WINDOW),
        privacy={"mode": "none"},
        min_providers=MEMBERS,
        terms={"max_pool": MEMBERS},
        **case.fields,
    )
    number = world.requester.create(draft, Dataset(case.examples(count), y, ()), PAY)
    people = People(world.registrar, world.requester_keys, world.accounts)
    scene = SimpleNamespace(
        client=world.client, people=people, store=world.network.store, requester=world.requester
    )
    request = Played(cast(Scene, scene), number).begin()
    for _ in range(draft.specification.rounds):
        request.finish_round()
    request.deliver()
    return request


def peak(world: World) -> float:
    """Of the one service that runs, MB."""
    [process] = world.network.daemons
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [one for one in status.splitlines() if one.startswith("VmHWM")]
    return round(int(line.split()[1]) * 1024 / MB, 1)


if __name__ == "__main__":
    main()
