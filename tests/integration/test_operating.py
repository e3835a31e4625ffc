"""A daemon as its operator sees it: health, metrics and systemd, of a real process."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from fedpact.chain import keystore
from fedpact.child_process import start_with_parent
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.ledger.opening import open_ledger
from tests.support.processes import executed
from tests.support.requester_process import Service
from tests.support.signing_server import new_server, signing
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import PAY, POLICY, POLL, World, running_world

HEAVY = {
    *("torch", "sklearn", "pandas", "pyarrow", "scipy", "kymatio", "onnxruntime", "flwr"),
    *("PIL", "openpyxl", "sqlalchemy", "h5py", "httpcore", "httpx", "trio", "rich"),
    "cryptography",
}
"""What takes megabytes and is needed by some requests and commands alone."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=2, rounds=1) as started:
        yield started


def status(log: str, path: str) -> tuple[int, str]:
    """What a service that wrote this log answers."""
    [address] = re.findall(r"metrics at (http://\S+)", log)
    try:
        with urllib.request.urlopen(address + path, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


Messages = Callable[[], list[bytes]]


@pytest.fixture
def told_to_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Messages]:
    """What services that are started from now on have told it so far. They tell their health at
    any port, and are ill after five seconds without a cycle."""
    told: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))

        def listen() -> None:
            while said := manager.recv(64):
                told.append(said)

        listening = Thread(target=listen)
        listening.start()
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("FEDPACT_MONITOR", "0")
        monkeypatch.setenv("FEDPACT_MAX_CYCLE_AGE", "5")
        yield lambda: told
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nothing:
            nothing.sendto(b"", str(tmp_path / "notify"))
        listening.join()


def falls_ill_and_recovers(world: World, log: Callable[[], str], messages: Messages) -> None:
    """A service whose node hangs for a while."""
    wait_until(lambda: b"READY=1" in messages(), log)
    wait_until(lambda: status(log(), "/ready")[0] == 200, lambda: status(log(), "/ready")[1])
    wait_until(lambda: "fedpact_balance_ether 9" in status(log(), "/metrics")[1], log)
    text = status(log(), "/metrics")[1]
    assert re.search(r'fedpact_rpc_calls_total\{method="eth_getLogs",node="http://127', text)

    world.network.devnet.child.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: status(log(), "/health")[0] == 503)
    beats = messages().count(b"WATCHDOG=1")
    # The loop goes on: systemd has no reason to start the service again.
    wait_until(lambda: messages().count(b"WATCHDOG=1") > beats)
    world.network.devnet.child.process.send_signal(signal.SIGCONT)
    wait_until(lambda: status(log(), "/health")[0] == 200)


def test_an_operator_sees_a_daemon_fall_ill_recover_and_end(
    world: World, told_to_systemd: Messages
) -> None:
    world.serve(0)
    falls_ill_and_recovers(world, lambda: world.log(0), told_to_systemd)
    assert 'fedpact_epsilon{data="",kind="spent"} 0.0' in status(world.log(0), "/metrics")[1]
    world.process(0).send_signal(signal.SIGTERM)
    assert world.process(0).wait(PATIENCE) == 0
    wait_until(lambda: b"STOPPING=1" in told_to_systemd())


def test_an_operator_sees_a_requesters_service_fall_ill_recover_and_end(
    world: World, told_to_systemd: Messages
) -> None:
    """It had neither health nor metrics, and told systemd nothing."""
    service = Service(world.network)
    service.start()
    falls_ill_and_recovers(world, service.log, told_to_systemd)
    request = world.requester.create(world.data.draft, world.data.evaluation, PAY)
    waiting = 'fedpact_requests{stage="waiting"} 1.0'
    wait_until(lambda: waiting in status(service.log(), "/metrics")[1], service.log)
    assert "fedpact_requests_failing 0.0" in status(service.log(), "/metrics")[1]
    world.requester.cancel(request)
    settled = 'fedpact_duties_total{duty="serve"} 1.0'
    wait_until(lambda: settled in status(service.log(), "/metrics")[1], service.log)
    service.stop()
    wait_until(lambda: b"STOPPING=1" in told_to_systemd())


def test_a_policy_is_read_again_on_sighup_and_a_bad_file_changes_nothing(world: World) -> None:
    world.serve(0)
    world.network.wait_until_serving()
    policy = world.policy_file(0)
    good = policy.read_text()
    policy.write_text(good + "epsilon_lifetimes = 1.0\n")
    world.process(0).send_signal(signal.SIGHUP)
    wait_until(
        lambda: "the previous one stays in force: policy file" in world.log(0), lambda: world.log(0)
    )
    draft = world.data.draft.changed(min_providers=2)
    first = world.requester.create(draft, world.data.evaluation, PAY)
    wait_until(lambda: f"request {first}: joined" in world.log(0), lambda: world.log(0))

    policy.write_text(good + "min_pay_per_round = 1000000000000000000000\n")
    world.process(0).send_signal(signal.SIGHUP)
    wait_until(lambda: "policy reloaded" in world.log(0), lambda: world.log(0))
    second = world.requester.create(draft.changed(title="second"), world.data.evaluation, PAY)
    declined = f"request {second}: declined: pay of"
    wait_until(lambda: declined in world.log(0), lambda: world.log(0))


def test_a_dry_run_decides_and_explains_and_sends_nothing(world: World) -> None:
    world.policy_file(0).write_text(POLICY.format(lifetime=8.0) + "max_rounds = 2\n")
    with dry_run(world) as log:
        wait_until(lambda: "dry run: nothing is sent" in log.read_text(), log.read_text)
        draft = world.data.draft.changed(min_providers=2)
        wanted = world.requester.create(draft, world.data.evaluation, PAY)
        unwanted = world.requester.create(
            draft.changed(rounds=3, title="long"), world.data.evaluation, PAY
        )
        joins = f"request {wanted}: would send TrainingPool.enrol, for about "
        declines = f"request {unwanted}: declined: 3 rounds are over 2"
        wait_until(lambda: joins in log.read_text(), log.read_text)
        wait_until(lambda: declines in log.read_text(), log.read_text)
    pool = world.client.pool
    assert (pool.count(wanted), pool.count(unwanted)) == (0, 0)
    assert not (world.network.folder / "state" / "provider").exists()


def fedpact(world: World, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = [*command_line(world, command), *options]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)


def program(world: World) -> list[str]:
    config = world.network.folder / "check.toml"
    config.write_text(world.network.settings("provider-1", POLL))
    return [sys.executable, "-m", "fedpact", "--config", str(config), "provider"]


def command_line(world: World, command: str) -> list[str]:
    return [
        *program(world),
        command,
        *("--data", str(world.data.files[0]), "--policy", str(world.policy_file(0))),
    ]


@contextmanager
def dry_run(world: World) -> Iterator[Path]:
    """A dry run as a process, stopped at the end; gives its log."""
    path = world.network.folder / "dry-run.log"
    with path.open("wb") as log:
        process = start_with_parent(
            [*command_line(world, "serve"), "--dry-run"], stdout=log, stderr=log
        )
        try:
            yield path
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0


def test_a_daemon_serves_for_an_account_whose_key_another_program_holds(world: World) -> None:
    network = world.network
    server = new_server(network.client.chain_id)
    name, password = "provider-remote", network.password_file.read_text()
    with signing(server) as url:
        keys = keystore.remote_account(
            network.folder / "keys", url, server.account.address, password, name, scrypt_cost=2**12
        )
        network.devnet.fund(keys.address)
        network.register(world.registrar, keys, 9)
        policy = world.policy_file(0)
        policy.write_text(POLICY.format(lifetime=8.0))
        network.start_daemon(name, world.data.files[0], policy, POLL, None)
        log = network.folder / f"{name}.log"
        network.wait_until_serving()
        draft = world.data.draft.changed(min_providers=2)
        request = world.requester.create(draft, world.data.evaluation, PAY)
        wait_until(lambda: f"request {request}: joined with" in log.read_text(), log.read_text)
    assert world.client.pool.count(request) == 1


@pytest.mark.slow
def test_a_running_daemon_is_checked_backed_up_and_restored(world: World, tmp_path: Path) -> None:
    released = ReleaseId(world.network.deployment.fingerprint, 1, 1)
    with open_ledger(world.ledger_file(0), world.accounts[0]) as ledger:
        event = GaussianRelease(noise_multiplier=5.0, sampling_rate=1.0, steps=4)
        ledger.release(released, [bytes(32)], event, b"sealed")
    world.serve(0)
    world.network.wait_until_serving()
    polled = world.network.devnet.url
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDPACT_ENDPOINT", f"{polled},{polled.replace('http', 'ws')}")
        done = fedpact(world, "check", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)
    found = {row["what"]: row for row in rows}
    assert {row["finding"] for row in rows} == {"ok"}
    by_http, by_socket = (row["why"] for row in rows if row["what"] == "node")
    assert re.fullmatch(r"http://\S+ is at block \d+", by_http)
    assert re.fullmatch(r"ws://\S+ is at block \d+ and pushes new heads", by_socket)
    assert {"key store", "policy", "schema", "account", "data", "privacy ledger", "disk"} <= set(
        found
    )

    keys, folder = world.accounts[0], tmp_path / "backup"
    arguments = [*program(world), "backup", str(folder), "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=True)
    names = {row["file"] for row in json.loads(done.stdout)}
    assert {"keys/provider-1.json", "state/provider/owner.key"} <= names
    assert f"state/provider/{keys.address.lower()}/privacy.sqlite" in names
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*.sqlite"))
    assert subprocess.run(arguments, capture_output=True, timeout=PATIENCE).returncode == 2

    world.kill(0)
    shutil.rmtree(world.network.folder / "state/provider")
    (world.network.folder / "keys/provider-1.json").unlink()
    shutil.copytree(folder / "state", world.network.folder / "state", dirs_exist_ok=True)
    shutil.copy(folder / "keys/provider-1.json", world.network.folder / "keys")
    done = fedpact(world, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    with open_ledger(world.ledger_file(0), keys) as ledger:
        assert [entry.id for entry in ledger.entries()] == [released]


def test_a_daemon_waits_for_node_and_store_that_come_up_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, anvil = world.network.folder / "content", world.network.devnet.child.process
    content.rename(content.with_name("unmounted"))
    content.write_text("not mounted yet")
    anvil.send_signal(signal.SIGSTOP)
    try:
        monkeypatch.setenv("FEDPACT_MONITOR", "0")
        world.serve(0)
        wait_until(lambda: "does not answer" in world.log(0), lambda: world.log(0))
        assert "does not answer" in status(world.log(0), "/ready")[1]
        # It ended a daemon that was still starting, and systemd takes that for its wish.
        world.process(0).send_signal(signal.SIGHUP)
    finally:
        anvil.send_signal(signal.SIGCONT)
    wait_until(lambda: "cannot be opened" in world.log(0), lambda: world.log(0))
    content.unlink()
    content.with_name("unmounted").rename(content)
    world.network.wait_until_serving(PATIENCE)
    assert world.log(0).count("waiting for it") <= 3
    wait_until(lambda: "policy reloaded" in world.log(0), lambda: world.log(0))


def test_an_idle_daemon_that_listens_loads_nothing_heavy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """115 MB are its limit (`make bench-idle`, `make bench-round`): 117 were taken, since a client
    for HTTP came with a library of coroutines before anybody was to be asked."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # Python then tells all that it loads
    world.network.start_process = executed
    world.exchanging = True
    world.serve(0)
    world.network.wait_until_serving()
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in world.log(0).splitlines()
        if line.startswith("import time:")
    }
    assert {"web3", "numpy", "uvicorn"} <= loaded
    assert not loaded & HEAVY
