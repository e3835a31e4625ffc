"""The private chain: its clock runs, each start is new, and it leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import STATES_NAME, Devnet, find_anvil
from fedpact.chain.records import Call
from fedpact.errors import FedpactError, InvalidInput, NodeUnreachable
from fedpact.operator import devnet as devnets
from tests.support.waiting import wait_until


def test_block_comes_with_each_transaction_and_with_time(tmp_path: Path) -> None:
    with Devnet.start(tmp_path, block_time=3600) as net:
        client, keys = ChainClient.connect(net.url, None), net.new_account()
        before = client.frame().block_number
        receipt = client.send(keys, Call(keys.address, b"", 0, "pay"))
        assert receipt.block == before + 1
    with Devnet.start(tmp_path, block_time=1) as net:
        client = ChainClient.connect(net.url, None)
        first = client.frame()
        wait_until(lambda: client.frame().block_number > first.block_number)
        assert client.frame().timestamp > first.timestamp


def test_two_starts_have_different_first_blocks(tmp_path: Path) -> None:
    with Devnet.start(tmp_path / "a") as one, Devnet.start(tmp_path / "b") as other:
        hashes = {ChainClient.connect(net.url, None).genesis_hash for net in (one, other)}
    assert len(hashes) == 2


def test_a_chain_can_be_stopped_twice(tmp_path: Path) -> None:
    net = Devnet.start(tmp_path)
    net.close()
    net.close()
    assert net.child.process.poll() is not None
    with pytest.raises(NodeUnreachable):
        ChainClient.connect(net.url, None, timeout=1)


@pytest.mark.slow  # Anvil writes states to the disk from about a thousand blocks on.
def test_old_states_stay_in_the_chains_folder_and_go_with_it(tmp_path: Path) -> None:
    states = tmp_path / STATES_NAME
    with Devnet.start(tmp_path) as net:
        for _ in range(15):
            net.mine(100)
        assert any(states.rglob("*.json"))
        net.child.process.kill()
    states.mkdir(exist_ok=True)
    (states / "of one that was killed").touch()
    with Devnet.start(tmp_path) as net:
        assert not any(states.glob("of one*"))
    assert not states.exists()


def test_a_port_in_use_is_reported(tmp_path: Path, anvil: Devnet) -> None:
    port = int(anvil.url.rpartition(":")[2])
    with pytest.raises(FedpactError, match="anvil did not start"):
        Devnet.start(tmp_path, port=port)


def test_an_invalid_named_binary_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPACT_ANVIL", str(tmp_path / "anvil"))
    with pytest.raises(InvalidInput, match="FEDPACT_ANVIL names"):
        Devnet.start(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_chain_ends_with_the_process_that_started_it_even_if_that_is_killed(
    tmp_path: Path,
) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from fedpact.chain.devnet import Devnet\n"
        "net = Devnet.start(Path(sys.argv[1]))\n"
        "print(net.group, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: ended(pid), "anvil outlived the process that started it")


def ended(pid: int) -> bool:
    """Whether the process has ended, or is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FEDPACT_ANVIL names a shell script that starts Anvil and waits for it."""
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n"{find_anvil()}" "$@" &\nwait\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("FEDPACT_ANVIL", str(wrapper))


@pytest.mark.usefixtures("wrapped")
def test_anvil_behind_a_wrapper_ends_with_it(tmp_path: Path) -> None:
    net = Devnet.start(tmp_path)
    ChainClient.connect(net.url, None).close()
    net.close()
    with pytest.raises(NodeUnreachable):
        ChainClient.connect(net.url, None, timeout=1)


@pytest.mark.usefixtures("wrapped")
def test_anvil_behind_a_wrapper_goes_down_by_its_record(tmp_path: Path) -> None:
    up = devnets.start(tmp_path, 0, 1)
    ChainClient.connect(up.url, None).close()
    assert devnets.stop(tmp_path) == up
    with pytest.raises(NodeUnreachable):
        ChainClient.connect(up.url, None, timeout=1)
