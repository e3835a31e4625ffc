"""A daemon as its operator sees it: health, metrics and systemd, of a real process."""

import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import PAYMENT, World, running_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=2, rounds=1) as started:
        yield started


def status(world: World, path: str) -> tuple[int, str]:
    [address] = re.findall(r"metrics at (http://\S+)", world.log(0))
    try:
        with urllib.request.urlopen(address + path, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_an_operator_sees_a_daemon_fall_ill_recover_and_end(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(tmp_path / "notify"))

        def messages() -> list[bytes]:
            while True:
                try:
                    told.append(manager.recv(64))
                except BlockingIOError:
                    return told

        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("FEDPACT_MONITOR", "0")
        monkeypatch.setenv("FEDPACT_MAX_CYCLE_AGE", "5")
        world.serve(0)
        wait_until(lambda: b"READY=1" in messages(), lambda: world.log(0))
        wait_until(lambda: status(world, "/ready")[0] == 200, lambda: status(world, "/ready")[1])
        text = status(world, "/metrics")[1]
        assert "fedpact_balance_ether 9" in text
        assert 'fedpact_epsilon{kind="spent"} 0.0' in text
        assert re.search(r'fedpact_rpc_calls_total\{method="eth_getLogs",node="http://127', text)

        world.network.devnet.child.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: status(world, "/health")[0] == 503)
        beats = messages().count(b"WATCHDOG=1")
        # The loop goes on: systemd has no reason to start the daemon again.
        wait_until(lambda: messages().count(b"WATCHDOG=1") > beats)
        world.network.devnet.child.process.send_signal(signal.SIGCONT)
        wait_until(lambda: status(world, "/health")[0] == 200)

        world.process(0).send_signal(signal.SIGTERM)
        assert world.process(0).wait(PATIENCE) == 0
        assert b"STOPPING=1" in messages()


def test_a_policy_is_read_again_on_sighup_and_a_bad_file_changes_nothing(world: World) -> None:
    world.serve(0)
    world.network.wait_until_serving()
    policy = world.policy_file(0)
    good = policy.read_text()
    policy.write_text(good + "epsilon_lifetimes = 1.0\n")
    world.process(0).send_signal(signal.SIGHUP)
    wait_until(lambda: "the one before stays: policy file" in world.log(0), lambda: world.log(0))
    draft = world.data.draft.changed(min_providers=2)
    first = world.requester.create(draft, world.data.evaluation, PAYMENT)
    wait_until(lambda: f"request {first}: joined" in world.log(0), lambda: world.log(0))

    policy.write_text(good + "min_pay_per_round = 1000000000000000000000\n")
    world.process(0).send_signal(signal.SIGHUP)
    wait_until(lambda: "read the policy again" in world.log(0), lambda: world.log(0))
    second = world.requester.create(draft.changed(title="second"), world.data.evaluation, PAYMENT)
    declined = f"request {second}: declined: pay of"
    wait_until(lambda: declined in world.log(0), lambda: world.log(0))
