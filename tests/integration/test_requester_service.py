"""The requester's service and providers' daemons as processes: a request without an attendant."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.chain.bindings.events import RoundPosted, SliceOpened
from fedpact.child_process import start_with_parent
from fedpact.learning.families import family_of
from fedpact.requester import model_file
from fedpact.requester.requester import Requester
from fedpact.types.requests import Status
from tests.support.waiting import PATIENCE
from tests.support.world import PAY, POLL, World, running_world

ROUNDS, PROVIDERS = 2, 3
LONG = dict.fromkeys(("submit", "commit", "reveal", "propose", "deliver"), 900)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS) as started:
        started.exchanging = True
        for number in range(PROVIDERS):
            started.serve(number)
        started.network.wait_until_serving()
        yield started


def service(world: World) -> subprocess.Popen[bytes]:
    """`fedpact requester serve` as a process; its log grows over all starts."""
    config = world.network.folder / "requester.toml"
    config.write_text(world.network.settings("requester", POLL))
    command = [sys.executable, "-m", "fedpact", "--config", str(config), "requester", "serve"]
    with log_file(world).open("ab") as log:
        return start_with_parent(command, stdout=log, stderr=subprocess.STDOUT)


def log_file(world: World) -> Path:
    return world.network.folder / "requester.log"


@pytest.mark.slow
def test_a_request_that_nobody_attends_to(world: World) -> None:
    """The service is killed after the first round, as a power cut would, and started again."""
    folder = world.network.folder
    requester = Requester(world.client, world.network.store, world.requester_keys, folder / "state")
    windows = {**world.data.draft.fields["windows"], **LONG}
    draft = world.data.draft.changed(windows=windows, terms={"max_pool": PROVIDERS})
    running = service(world)
    request = requester.create(draft, world.data.evaluation, PAY)
    killed, deadline = False, time.monotonic() + PATIENCE
    while world.client.market.request(request).status is not Status.SETTLED:
        if not killed and world.client.rounds.round_facts(request).round == 2:
            running.kill()
            running.wait()
            killed, running = True, service(world)
        world.network.check_daemons()
        assert running.poll() is None, log_file(world).read_text()
        assert time.monotonic() < deadline, log_file(world).read_text() + world.logs()
        time.sleep(POLL)
    running.terminate()
    assert running.wait(PATIENCE) == 0
    assert killed

    # The slices went by message, so that every round was posted as a whole.
    events = world.all_events(request)
    assert [one.round for one in events if isinstance(one, RoundPosted)] == [1, 2]
    assert not [one for one in events if isinstance(one, SliceOpened)]
    assert world.paid_as_mirrored(request)
    spec, model = model_file.read(requester.model_path(request))
    assert family_of(spec).error(spec, model, world.data.test.x, world.data.test.y) < 3_000
