"""A training that hangs, fails or is killed stops nothing else (daemons as processes)."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from fedpact.privacy.ledger.check import verify
from fedpact.provider.ledger.opening import open_ledger
from fedpact.provider.ledger.submissions import submissions
from fedpact.types.requests import Status
from tests.support.held_provider import GREEDY, HELD, KILLED
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import (
    PAY,
    World,
    faults_of,
    points_of,
    running_world,
    serve_held,
)

POLICY = """categories = ["images/digits"]
accept_without_privacy = true
epsilon_per_request = 9.0
epsilon_per_requester = 100.0
epsilon_lifetime = 20.0
submit_after = 0.0
min_samples = 20
max_parallel_training = 2
max_training_memory_mb = 1024
"""
WINDOW = 600
"""Seconds: nobody hurries."""
WITHOUT_PRIVACY = {"mode": "none"}
MEMBERS = 2


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=MEMBERS, rounds=1) as started:
        yield started


def create(world: World, title: str, **fields: object) -> int:
    """Creates a request, and follows it in a thread of its own."""
    draft = world.data.draft.changed(
        title=title,
        min_providers=MEMBERS,
        max_providers=MEMBERS,
        **{"windows": dict.fromkeys(world.data.draft.fields["windows"], WINDOW), **fields},
    )
    requester = world.requester
    request = requester.create(draft, world.data.evaluation, PAY)
    threading.Thread(target=requester.follow, args=(request,), daemon=True).start()
    return request


def delivered(world: World, request: int) -> bool:
    return world.client.market.request(request).status is Status.SETTLED


def trainings(world: World) -> set[int]:
    """Processes that hold a training."""
    return {int(one.name.partition("-")[2]) for one in world.network.folder.glob("started-*")}


def runs(process_id: int) -> bool:
    with suppress(OSError):
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


def held(world: World, count: int) -> Callable[[], bool]:
    return lambda: len([one for one in trainings(world) if runs(one)]) == count


def test_a_training_that_hangs_fails_or_is_killed_stops_nothing_else(world: World) -> None:
    daemons = [serve_held(world, number, POLICY) for number in range(2)]
    world.network.wait_until_serving()

    # Without privacy: such a training must be made from all records that were joined with.
    slow = create(world, HELD, privacy=WITHOUT_PRIVACY)
    wait_until(held(world, 2), "no training began")
    requests = {title: create(world, title) for title in (GREEDY, KILLED, "light 1", "light 2")}
    wait_until(
        lambda: all(delivered(world, request) for request in requests.values()),
        lambda: f"{requests}: not delivered while {slow} trains: {world.log(0)}",
    )
    assert not delivered(world, slow)
    assert held(world, 2)()
    assert [daemon.poll() for daemon in daemons] == [None, None]

    # Half of the records are gone; what was joined with is what counts.
    data = world.data.files[0]
    with np.load(data) as file:
        halves = {name: values[: len(values) // 2] for name, values in file.items()}
    np.savez(data, **halves)
    # Workers die with a daemon that is killed, and let one stop that is asked to.
    before = trainings(world)
    os.kill(daemons[0].pid, signal.SIGKILL)
    daemons[0].wait()
    wait_until(held(world, 1), "a worker outlived its daemon")
    again = serve_held(world, 0, POLICY)
    wait_until(held(world, 2), lambda: world.log(0))
    again.send_signal(signal.SIGTERM)
    assert again.wait(PATIENCE) == 0  # the training would last until the file `open` is there
    wait_until(held(world, 1), "a worker outlived its daemon")
    serve_held(world, 0, POLICY)
    wait_until(held(world, 2), lambda: world.log(0))
    assert len(trainings(world) - before) == 2
    (world.network.folder / "open").touch()
    wait_until(lambda: delivered(world, slow), lambda: world.log(0))

    for title, request in {**requests, HELD: slow}.items():
        entries = world.entries(request)
        assert not any(faults_of(entry) for entry in entries), title
        assert any(sum(points_of(entry, MEMBERS)) for entry in entries), title
    for title in (GREEDY, KILLED):
        line = f"request {requests[title]}, round 1: the training failed"
        assert world.log(0).count(line) == 1, title
    # Each round was charged once, and what was submitted is what was charged.
    account = world.accounts[0]
    own = {(one.request, one.round, d) for one, d in submissions(world.client, account.address)}
    with open_ledger(world.ledger_file(0), account) as ledger:
        entries = verify(ledger)
        assert {(one.id.request, one.id.round, one.digest) for one in entries} == own
        assert len(own) == len(requests) + 1
