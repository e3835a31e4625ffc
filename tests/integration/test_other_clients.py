"""A request from deployment to audit on a client that lacks what the others have: Ganache.

It knows no EIP-1898: reads go by number and are checked by hash. Anvil serves all other tests.
"""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from fedpact.audit import audit
from fedpact.chain.devnet import PLENTY
from fedpact.chain.faults import Capability
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.nodes import Nodes
from fedpact.child import ChildProcess
from fedpact.content.ipfs_node import node_executable
from fedpact.types.rounds import RequestStatus
from tests.support.committee import PAYMENT, Committee, Following, open_market
from tests.support.waiting import PATIENCE

GANACHE = Path(__file__).parents[2] / "node_modules/ganache/dist/node/cli.js"


class Ganache:
    """What `open_market` needs of a chain."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._rpc = Nodes(url)

    def new_account(self) -> AccountKeys:
        keys = AccountKeys(Account.create())
        self._rpc.call("evm_setAccountBalance", keys.address, hex(PLENTY))
        return keys


@pytest.fixture
def ganache(tmp_path: Path) -> Iterator[Ganache]:
    with socket.create_server(("127.0.0.1", 0)) as free:  # Ganache takes no port 0
        port = free.getsockname()[1]
    command = [node_executable(), str(GANACHE), "--server.port", str(port)]
    options = ["--miner.timestampIncrement", "1", "--chain.hardfork", "shanghai"]
    child = ChildProcess.start([*command, *options], tmp_path / "log")
    try:
        address = child.wait_for(re.compile(r"RPC Listening on (\S+:\d+)"), PATIENCE)[1]
        yield Ganache(f"http://{address}")
    finally:
        child.stop()


def test_a_request_is_delivered_paid_and_audited_on_ganache(
    ganache: Ganache, tmp_path: Path
) -> None:
    market = open_market(ganache, tmp_path, providers=3)  # type: ignore[arg-type]
    request_id = market.requester.create(market.draft(), market.evaluation, PAYMENT)
    committee = Committee(market, request_id)
    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round()
        committee.play_round()
        committee.deliver()
    committee.claim_all()

    assert market.client.market.request(request_id).status is RequestStatus.DELIVERED
    report = audit(market.client, market.store, request_id, market.auditor)
    assert report.failed == []
    assert report.unavailable == []
    [node] = market.client.rpc.nodes
    assert Capability.BLOCK_HASH in node.lacks
