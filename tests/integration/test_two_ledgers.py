"""One account, two ledgers: a second machine, an older copy, another deployment, a lost file.

No release has two draws in the store, and what the account has released is charged.
"""

import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fedpact.chain import deployment_file as deployments
from fedpact.chain.bindings.events import Started
from fedpact.chain.client import ChainClient
from fedpact.chain.connection import Connection
from fedpact.chain.deploy import Parameters, deploy_contracts
from fedpact.chain.keystore import AccountKeys
from fedpact.consensus.artefacts import RoundRef, open_sealed_local
from fedpact.content.keys import MANIFEST_MAX_BYTES, Manifest
from fedpact.errors import FedpactError
from fedpact.privacy.accounting import cost
from fedpact.provider.files import ledger_file
from fedpact.provider.ledger.opening import open_ledger
from fedpact.provider.ledger.submissions import submissions
from fedpact.requester import RequestProgress
from fedpact.types.cid import Cid
from fedpact.types.requests import Status
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import PAY, POLL, World, running_world

DELTA = 1e-5


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=4, rounds=2) as started:
        yield started


def stop(world: World, number: int) -> None:
    process = world.process(number)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    index = world.network.daemons.index(process)
    del world.network.daemons[index], world.network.names[index]


def serve_elsewhere(world: World, number: int) -> Path:
    """Another machine with the same account, key store and store, and a state folder of its own,
    which is returned; its log is in `second.log`."""
    network = world.network
    state = network.folder / "second"
    settings = network.settings(f"provider-{number + 1}", POLL)
    network.folder.joinpath("second.toml").write_text(
        settings.replace(f'"{network.folder / "state"}"', f'"{state}"')
    )
    command = ["fedpact", "--config", str(network.folder / "second.toml")]
    command += ["provider", "serve", "--data", str(world.data.files[number])]
    command += ["--policy", str(world.policy_file(number))]
    network.daemons.append(network.start_process(command, network.folder / "second.log"))
    network.names.append("second")
    return state


def deploy_again(world: World, account: AccountKeys) -> None:
    """Other contracts on the same chain, with the account as the only participant."""
    network = world.network
    file = network.folder / "deployment.json"
    file.unlink()
    registrar = world.registrar
    connection = Connection.connect(network.devnet.url, None)
    parameters = Parameters(registrar.address, registrar.address, 1, 1)
    fresh = deploy_contracts(connection, registrar, parameters, salt=secrets.randbits(64))
    deployments.save(fresh, file)
    network.deployment, network.client = fresh, ChainClient.connect(network.devnet.url, fresh)
    network.register(world.registrar, account, 2)


def requested(world: World, rounds: int = 2, **windows: int) -> int:
    drafted = world.data.draft.fields["windows"]
    draft = world.data.draft.changed(rounds=rounds, min_providers=3, windows={**drafted, **windows})
    return world.requester.create(draft, world.data.evaluation, PAY)


def draws(world: World, request: int, account: AccountKeys) -> dict[int, set[bytes]]:
    """By round: digests of all objects in the store that are a local model of the account."""
    client, store = world.client, world.network.store
    [started] = world.events(request, Started)
    cid = Cid.of_digest(started.start.manifest, MANIFEST_MAX_BYTES)
    manifest = Manifest.decode(store.get(cid, MANIFEST_MAX_BYTES))
    key = manifest.open(account.address, account.encryption_key())
    found: dict[int, set[bytes]] = {}
    for path in (world.network.folder / "content").rglob("*"):
        if not path.is_file():
            continue
        sealed = path.read_bytes()
        for round_ in (1, 2):
            reference = RoundRef(client.deployment.fingerprint, request, round_)
            try:
                open_sealed_local(sealed, key, reference, account.address)
            except FedpactError:
                continue
            found.setdefault(round_, set()).add(Cid.of(sealed).digest)
    return found


def spent(path: Path, account: AccountKeys) -> float:
    with open_ledger(path, account) as ledger:
        return ledger.spent(DELTA).epsilon


def test_two_machines_of_one_account_publish_one_draw_a_round(world: World) -> None:
    for number in range(4):
        world.serve(number)
    second = serve_elsewhere(world, 0)
    world.network.wait_until_serving()
    request = requested(world, submit=40, commit=40, reveal=40)
    world.requester.follow(request, poll_interval=POLL)
    account = world.accounts[0]
    submitted = submissions(world.client, account.address)
    own = {(release.round, digest) for release, digest in submitted}
    published = draws(world, request, account)
    assert all(len(digests) == 1 for digests in published.values())
    assert {(r, d) for r, digests in published.items() for d in digests} <= own
    logs = world.log(0) + (world.network.folder / "second.log").read_text()
    assert "another daemon of this account may be running" in logs
    # Each machine has charged what either submitted.
    for state in (world.network.folder / "state", second):
        with open_ledger(ledger_file(state, account.address), account) as ledger:
            digests = {(one.id.round, one.digest) for one in ledger.entries()}
            assert own <= digests
            events = [one.event for one in ledger.entries() if (one.id.round, one.digest) in own]
            assert all(events)
            assert ledger.spent(DELTA).epsilon >= cost(events[0].times(len(own)), DELTA).epsilon


def test_a_second_daemon_on_the_same_ledger_does_not_start(world: World) -> None:
    world.serve(0)
    world.network.wait_until_serving()
    serving = world.process(0)
    world.serve(0)
    second = world.network.daemons.pop()
    world.network.names.pop()
    assert second.wait(PATIENCE) == 13
    assert "another daemon" in world.log(0)
    assert serving.poll() is None


def test_an_older_ledger_that_takes_the_place_of_the_open_one_is_brought_up_to_date(
    world: World,
) -> None:
    for number in range(4):
        world.serve(number)
    world.network.wait_until_serving()
    ledger = world.ledger_file(0)
    older = ledger.with_name("older.sqlite")
    with open_ledger(ledger, world.accounts[0]):
        shutil.copy(ledger, older)
    # More rounds than one are left to notice it, however much of a round is not looked at.
    request = requested(world, rounds=5, submit=40, commit=40, reveal=40)
    replaced: list[float] = []

    def strike(progress: RequestProgress) -> None:
        if progress.round >= 2 and not replaced:
            replaced.append(spent(ledger, world.accounts[0]))
            older.replace(ledger)

    end = world.requester.follow(request, strike, poll_interval=POLL / 4)
    assert end.status is Status.SETTLED
    wait_until(lambda: "has taken its place" in world.log(0), lambda: world.log(0))
    stop(world, 0)
    account = world.accounts[0]
    own = {(one.request, one.round, d) for one, d in submissions(world.client, account.address)}
    assert replaced[0] > 0
    assert spent(ledger, account) >= replaced[0] * (1 - 1e-9)
    with open_ledger(ledger, account) as opened:
        known = {(one.id.request, one.id.round, one.digest) for one in opened.entries()}
    assert own <= known
    assert all(len(digests) == 1 for digests in draws(world, request, account).values())


@dataclass
class Released:
    """A world in which provider 0 has released a model in each of two rounds; no daemon runs."""

    world: World
    state: Path
    """A copy of its state folder."""
    unused: bytes
    """Its ledger, from before the releases."""
    spent: float

    def restore(self) -> None:
        """Restore the state folder after another test."""
        folder = self.world.network.folder / "state"
        shutil.rmtree(folder)
        shutil.copytree(self.state, folder)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    with running_world(tmp_path_factory.mktemp("released"), providers=4, rounds=2) as world:
        for number in range(4):
            world.serve(number)
        world.network.wait_until_serving()
        ledger, account = world.ledger_file(0), world.accounts[0]
        with open_ledger(ledger, account):
            unused = ledger.read_bytes()
        world.requester.follow(requested(world), poll_interval=POLL)
        for number in range(4):
            stop(world, number)
        kept = world.network.folder / "kept"
        shutil.copytree(world.network.folder / "state", kept)
        yield Released(world, kept, unused, spent(ledger, account))


@pytest.mark.parametrize("lost", ["older copy", "whole file"])
def test_releases_of_another_deployment_count(released: Released, lost: str) -> None:
    released.restore()
    world, before = released.world, released.spent
    assert before > 0
    ledger, account = world.ledger_file(0), world.accounts[0]
    ledger.unlink()
    if lost == "older copy":
        ledger.write_bytes(released.unused)
    deploy_again(world, account)
    world.serve(0)
    wait_until(lambda: "another daemon" in world.log(0), lambda: world.log(0))
    charged = "charged to every unit"
    wait_until(lambda: world.log(0).count(charged) == 2, lambda: world.log(0))
    stop(world, 0)
    assert spent(ledger, account) >= before * (1 - 1e-9)
