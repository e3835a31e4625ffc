"""Daemons as processes: killed, restarted, without their state file, on the wrong chain."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.audit import audit
from fedpact.chain import keystore
from fedpact.demo import fleet
from fedpact.errors import FedpactError
from fedpact.requester import RequestProgress
from fedpact.types.requests import Phase, Status
from fedpact.types.schema import schema_file
from tests.support.processes import executed
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import PAY, POLL, World, faults_of, points_of, running_world

ROUNDS, PROVIDERS = 2, 3


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS) as started:
        yield started


@pytest.mark.slow
def test_a_request_survives_daemons_that_are_killed_and_one_that_loses_its_state(
    world: World,
) -> None:
    # Interpreters of their own: no member's results depend on the order of its sets.
    world.network.start_process = executed
    for number in range(PROVIDERS):
        world.serve(number)
    world.network.wait_until_serving()
    world.network.start_process = fleet.start
    # DLMU: each member must compute its own and the others' starts again.
    # Nobody is excluded for the time that a restart takes on a busy machine.
    windows = {**world.data.draft.fields["windows"], "submit": 900, "commit": 900, "reveal": 900}
    draft = world.data.draft.changed(strategy={"name": "dlmu"}, windows=windows)
    request = world.requester.create(draft, world.data.evaluation, PAY)
    struck: set[int] = set()

    def strike(progress: RequestProgress) -> None:
        if progress.round >= 1 and progress.stage is Phase.COMMIT and 0 not in struck:
            struck.add(0)
            world.kill(0)
            threading.Timer(1.0, world.serve, (0,)).start()
        if progress.round >= 2 and progress.stage is Phase.SUBMIT and 1 not in struck:
            struck.add(1)
            world.kill(1)
            for file in world.state_file(1).parent.iterdir():
                file.unlink()
            threading.Timer(1.0, world.serve, (1,)).start()

    # Often enough to see each stage of a round in which nobody waits for anybody.
    end = world.requester.follow(request, strike, poll_interval=POLL / 4)
    assert struck == {0, 1}
    assert end.status is Status.SETTLED
    outcome, entries = world.client.rounds.outcome(request), world.entries(request)
    assert (outcome.paid_rounds, outcome.final_rounds) == (ROUNDS, ROUNDS)
    assert all(all(points_of(entry, PROVIDERS)) for entry in entries)
    assert not any(faults_of(entry) for entry in entries)
    password = world.network.password_file.read_text()
    member = keystore.unlock(world.network.folder / "keys", "provider-1", password)
    report = audit(world.client, world.network.store, request, member)
    assert report.failed == []


def test_a_provider_declines_a_request_beyond_its_lifetime_budget(world: World) -> None:
    world.serve(0, lifetime=3.0)
    world.network.wait_until_serving()
    draft = world.data.draft.changed(min_providers=2)
    request = world.requester.create(draft, world.data.evaluation, PAY)
    declined = f"request {request}: declined:"
    wait_until(lambda: declined in world.log(0), lambda: world.log(0))
    assert "of the data set's epsilon" in world.log(0)
    assert world.client.pool.count(request) == 0


def test_a_daemon_says_all_that_is_missing_at_once(world: World) -> None:
    stranger = world.network.account("stranger")
    world.network.devnet.fund(stranger.address, 0)
    policy = world.network.folder / "policy.toml"
    policy.write_text("max_rounds = 200\n")
    schema = schema_file(world.network.folder / "no-such.csv")
    schema.write_text(schema_file(world.data.files[0]).read_text())
    world.network.start_daemon("stranger", world.network.folder / "no-such.csv", policy, POLL, None)
    process = world.network.daemons[-1]
    assert process.wait(PATIENCE) == 2
    said = (world.network.folder / "stranger.log").read_text()
    assert "is not an active participant" in said
    assert "no-such.csv: No such file" in said
    assert "Traceback" not in said
    with pytest.raises(FedpactError, match="stranger ended with code 2"):
        world.network.check_daemons()
