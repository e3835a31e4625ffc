"""Many requests at once, with daemons and the requester's service."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.requester.requester import Requester
from fedpact.types.requests import Status
from tests.integration.test_requester_service import log_file, service
from tests.support.held_provider import SLOW
from tests.support.waiting import PATIENCE
from tests.support.world import PAY, World, faults_of, running_world, serve_held

MEMBERS, REQUESTS, BLOCK_SECONDS = 2, 20, 12
WINDOWS = dict.fromkeys(("join", "start", "submit", "commit", "reveal", "propose", "deliver"), 240)
"""Seconds: twenty blocks each."""
LONGEST = 900
"""Seconds for all of them, on a busy machine."""
POLICY = """categories = ["images/digits"]
accept_without_privacy = true
epsilon_per_request = 9.0
epsilon_per_requester = 100.0
epsilon_lifetime = 20.0
submit_after = 0.0
min_samples = 20
max_parallel_training = 2
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=MEMBERS, rounds=1) as started:
        yield started


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_nobody_misses_a_window_beside_a_long_training(world: World) -> None:
    """Twenty requests at once on a chain of slow blocks; one trains for a minute and a half."""
    client, folder = world.client, world.network.folder
    requester = Requester(client, world.network.store, world.requester_keys, folder / "state")
    fields = {
        "privacy": {"mode": "none"},
        "windows": {**world.data.draft.fields["windows"], **WINDOWS},
        "terms": {"min_pool": MEMBERS, "max_pool": MEMBERS},
        "min_providers": MEMBERS,
        "max_providers": MEMBERS,
    }
    titles = [SLOW, *(f"light {number}" for number in range(1, REQUESTS))]
    requests = [
        requester.create(
            world.data.draft.changed(title=title, **fields), world.data.evaluation, PAY
        )
        for title in titles
    ]
    client.rpc.call("evm_setIntervalMining", BLOCK_SECONDS)
    for number in range(MEMBERS):
        serve_held(world, number, POLICY)
    running, deadline = service(world), time.monotonic() + LONGEST
    while any(client.market.request(one).status is not Status.SETTLED for one in requests):
        world.network.check_daemons()
        assert running.poll() is None, log_file(world).read_text()
        assert time.monotonic() < deadline, log_file(world).read_text() + world.logs()
        time.sleep(1)
    running.terminate()
    assert running.wait(PATIENCE) == 0
    for request in requests:
        outcome = client.rounds.outcome(request)
        assert (outcome.final_rounds, outcome.paid_rounds) == (1, 1)
        assert not any(faults_of(entry) for entry in world.entries(request))
