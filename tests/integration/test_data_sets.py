"""One daemon, a process of its own, serves several data sets, of which one grows."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fedpact.privacy.lifetime_budget import Spend
from fedpact.requester.draft import Draft
from fedpact.requester.requester import Requester
from fedpact.types.requests import Status
from tests.support.waiting import wait_until
from tests.support.world import PAY, POLICY, POLL, World, running_world

SCHEMA = """
data_id = "{data_id}"
category = "machines"
units = 400
unit = "machine"
labels = ["0", "1"]

[[columns]]
name = "torque"
range = [0.0, 10.0]

[[columns]]
name = "{other}"
range = [0.0, 10.0]
"""
ENTRY = """
[[data]]
name = "{name}"
path = "{name}.csv"
[data.policy]
categories = ["machines"]
"""
OTHER = {"pumps": "speed", "valves": "pressure"}


def rows(seed: int, first: int, count: int) -> str:
    """Machines that fail with much torque."""
    values = np.random.default_rng(seed).uniform(0, 10, (count, 2))
    return "".join(
        f"{seed}-{first + number},{torque:.3f},{other:.3f},{int(torque > 5)}\n"
        for number, (torque, other) in enumerate(values)
    )


def written(path: Path, lines: str, mode: str = "w") -> None:
    with path.open(mode) as file:
        file.write(lines)
    before = time.time() - 60
    os.utime(path, (before, before + path.stat().st_size / 1e6))  # nobody is writing any more


def serve(world: World, number: int) -> None:
    policy = world.network.folder / f"plant-{number}" / "policy.toml"
    world.network.start_daemon(f"provider-{number + 1}", None, policy, POLL, None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("sets"), providers=2, rounds=1) as started:
        for number in range(2):
            folder = started.network.folder / f"plant-{number}"
            folder.mkdir()
            for seed, (name, other) in enumerate(OTHER.items(), start=10 * (number + 1)):
                path = folder / f"{name}.csv"
                written(path, f"machine,torque,{other},label\n" + rows(seed, 0, 100))
                path.with_name(f"{path.name}.schema.toml").write_text(
                    SCHEMA.format(data_id=name[0].encode().hex() * 16, other=other)
                )
            policy = folder / "policy.toml"
            entries = "".join(ENTRY.format(name=name) for name in OTHER)
            policy.write_text(POLICY.format(lifetime=20.0) + entries)
            serve(started, number)
        started.network.wait_until_serving()
        yield started


@pytest.fixture(scope="module")
def requester(world: World) -> Requester:
    network = world.network
    return Requester(
        world.client, network.store, world.requester_keys, network.folder / "requester"
    )


def trained(world: World, requester: Requester, name: str, *, killed: bool = False) -> None:
    """Have a model of a data set trained, until it is paid. `killed`: the first daemon is killed
    once it has joined, and started again."""
    held_out = world.network.folder / f"{name}.csv"
    written(held_out, f"machine,torque,{OTHER[name]},label\n" + rows(99, 0, 200))
    draft: Draft = world.data.draft.changed(
        category="machines",
        labels=["0", "1"],
        features={"columns": ["torque", OTHER[name]], "shape": [2], "scale": 10.0},
        family={"name": "softmax-regression"},
        privacy={"mode": "sound", "epsilon": 2.0, "delta": 1e-5, "clipping_norm": 1.0},
    )
    request = requester.create(draft, held_out, PAY)
    joined = f"request {request}: joined with 400 samples of {name}"
    wait_until(lambda: joined in world.log(0), world.logs)
    if killed:
        world.kill(0)
        serve(world, 0)
    assert requester.follow(request, poll_interval=POLL).status is Status.SETTLED, world.logs()


def charged(world: World, number: int) -> tuple[dict[str, int], Counter[int]]:
    """By data set the releases that were charged, and by number of steps how many units."""
    with closing(sqlite3.connect(world.ledger_file(number))) as db:
        sets = db.execute("SELECT dataset, count(*) FROM releases WHERE event NOT NULL GROUP BY 1")
        units = db.execute(
            "SELECT spend, count(digest) FROM accounts JOIN units ON account = id GROUP BY id"
        )
        found = Counter[int]()
        for spend, count in units:
            found[Spend.decode(spend).steps] += count
        return dict(sets), found


@pytest.mark.slow
def test_one_daemon_serves_two_data_sets_and_rows_that_were_appended(
    world: World, requester: Requester
) -> None:
    trained(world, requester, "pumps")
    trained(world, requester, "valves", killed=True)
    before = charged(world, 0)
    assert before[0] == {"70" * 16: 1, "76" * 16: 1}
    assert sum(before[1].values()) == 200

    path = world.network.folder / "plant-0" / "pumps.csv"
    written(path, rows(10, 100, 60), "a")  # the night's export: 60 more machines
    trained(world, requester, "pumps")
    sets, units = charged(world, 0)
    assert sets == {"70" * 16: 2, "76" * 16: 1}
    assert sum(units.values()) == 260
    once, twice = min(units), max(units)
    assert units == {once: 160, twice: 100}  # 60 new ones and the valves; the pumps from before
