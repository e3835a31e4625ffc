"""`fedpact request create` is killed between signing and mining, and called again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fedpact.child_process import start_with_parent
from tests.support.node_proxy import Dropped, Message, node_in_front
from tests.support.waiting import PATIENCE
from tests.support.world import World, running_world

PAYMENT = 10**18
WAITING = ("eth_sendRawTransaction", "eth_getTransactionReceipt")
"""What a process asks that has a transaction under way."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=3, rounds=1) as started:
        yield started


def create(world: World, endpoint: str) -> "subprocess.Popen[bytes]":
    """Starts the command, as a requester calls it."""
    folder, evaluation = world.network.folder, world.data.evaluation
    settings = world.network.settings("requester", 0.1)
    config, draft, data = folder / "requester.toml", folder / "draft.json", folder / "own.npz"
    config.write_text(settings.replace(world.network.devnet.url, endpoint))
    draft.write_text(json.dumps(world.data.draft.fields))
    names = np.array(world.data.draft.specification.labels)
    scale = world.data.draft.specification.features.scale
    np.savez(data, x=evaluation.x * scale, y=names[evaluation.y])
    command = [sys.executable, "-m", "fedpact", "--config", str(config), "request", "create"]
    command += [str(draft), "--evaluation", str(data), "--pay", "1 ether", "--json"]
    return start_with_parent(command, stdout=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize("taken", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_creation_that_was_killed_after_signing_is_not_sent_twice(
    world: World, taken: bool
) -> None:
    """The node has taken the transaction, and mines it only after the second call has begun; or it
    has never seen it."""
    rpc, sent = world.client.rpc, list[str]()
    running: list[subprocess.Popen[bytes]] = []
    waits = threading.Event()

    def kill(message: Message) -> None:
        if len(running) == 2 and message["method"] in WAITING:
            waits.set()
        if message["method"] == "eth_sendRawTransaction":
            sent.append(message["params"][0])
            if len(sent) == 1:
                if taken:
                    rpc.call("eth_sendRawTransaction", sent[0])
                os.killpg(running[0].pid, signal.SIGKILL)
                raise Dropped

    before = world.client.balance(world.requester_keys.address)
    rpc.call("evm_setIntervalMining", 3600)  # no block comes by itself
    with node_in_front(world.network.devnet.url, kill) as endpoint:
        running.append(create(world, endpoint))
        assert running[0].wait(PATIENCE) == -signal.SIGKILL
        assert world.client.market.request_count() == 0
        running.append(create(world, endpoint))
        deadline = time.monotonic() + PATIENCE
        while running[1].poll() is None:
            assert time.monotonic() < deadline
            if waits.wait(0.1):
                rpc.call("evm_mine")
    said, _ = running[1].communicate()
    assert running[1].returncode == 0
    assert json.loads(said)["request"] == 1
    assert world.client.market.request_count() == 1
    assert len(set(sent)) == 1
    paid = world.client.market.terms(1).value
    spent = before - world.client.balance(world.requester_keys.address)
    assert paid <= spent < paid + PAYMENT
