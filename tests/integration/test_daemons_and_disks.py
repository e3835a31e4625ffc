"""Daemons with a full disk or a locked or damaged state: none ends, no round is lost."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from fedpact.provider.state.file import BUSY_SECONDS
from fedpact.requester import RequestProgress
from fedpact.types.requests import Phase, Status
from tests.support.disks import damage, full_disk, locked
from tests.support.waiting import wait_until
from tests.support.world import PAY, POLL, World, faults_of, points_of, running_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = 3
LARGEST = 64 * 1024
"""Bytes; the daemon's log stays below it, the journals of state and ledger do not."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=4, rounds=ROUNDS) as started:
        for number in range(4):
            started.serve(number)
        started.network.wait_until_serving()
        yield started


def serve_a_request(world: World, strike: Thread) -> None:
    """One request to its end; `strike` runs from its first commit stage on."""
    windows = {**world.data.draft.fields["windows"], "submit": 900, "commit": 900, "reveal": 900}
    draft = world.data.draft.changed(windows=windows)
    request = world.requester.create(draft, world.data.evaluation, PAY)

    def begin(progress: RequestProgress) -> None:
        at_work = progress.round >= 1 and progress.stage in (Phase.COMMIT, Phase.REVEAL)
        if at_work and strike.ident is None:
            strike.start()

    end = world.requester.follow(request, begin, poll_interval=POLL / 4)
    strike.join()
    assert end.status is Status.SETTLED
    outcome, entries = world.client.rounds.outcome(request), world.entries(request)
    assert (outcome.paid_rounds, outcome.final_rounds) == (ROUNDS, ROUNDS)
    assert all(all(points_of(entry, 4)) for entry in entries)
    assert not any(faults_of(entry) for entry in entries)
    world.network.check_daemons()


def test_a_daemon_outlives_a_full_disk(world: World) -> None:
    def fill() -> None:
        with full_disk(world.process(0), LARGEST):
            wait_until(lambda: "nothing is submitted" in world.log(0), lambda: world.log(0))
            time.sleep(5)

    serve_a_request(world, Thread(target=fill))
    assert "Traceback" not in world.log(0)
    assert world.log(0).count("nothing is submitted") <= 2
    assert "can be written again" in world.log(0)


def test_a_daemon_outlives_a_state_that_is_locked_for_12_seconds(world: World) -> None:
    def hold() -> None:
        with locked(world.state_file(0)):
            time.sleep(12)

    serve_a_request(world, Thread(target=hold))
    assert "Traceback" not in world.log(0)
    assert "can be written again" in world.log(0)


def test_a_daemon_starts_on_a_state_that_is_locked(world: World) -> None:
    world.kill(0)
    with locked(world.state_file(0)):
        world.serve(0)
        waiting = "is locked by another process: waiting for it"
        wait_until(lambda: waiting in world.log(0), lambda: world.log(0))
        time.sleep(2 * BUSY_SECONDS)
        world.network.check_daemons()
        assert world.log(0).count(waiting) == 1
    world.network.wait_until_serving()


def test_a_daemon_outlives_damaged_pages_in_its_state(world: World) -> None:
    def strike() -> None:
        damage(world.state_file(0))
        wait_until(lambda: "rebuilt from the chain" in world.log(0), lambda: world.log(0))
        world.kill(0)
        damage(world.state_file(0))
        world.serve(0)

    serve_a_request(world, Thread(target=strike))
    assert "rebuilt from the chain" in world.log(0)
