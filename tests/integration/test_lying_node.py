"""A node that lies: what an auditor notices, and what nobody does who asks it alone.

Each event and view of a request is falsified, one at a time, in test_audit.py.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fedpact.audit import audit
from fedpact.chain.abi import ROUNDS, SECOND, contract_abi
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet, find_anvil
from fedpact.child import ChildProcess
from fedpact.types.requests import Phase
from tests.support.committee import PAYMENT, DigitsMarket, new_request, open_digits_market
from tests.support.node_proxy import Message, node_in_front
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="module")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    return open_digits_market(anvil, tmp_path_factory.mktemp("lied-to"))


@contextmanager
def asked_through(
    market: DigitsMarket, told: Callable[[Message, Any], Any]
) -> Iterator[ChainClient]:
    """A client whose node tells these things."""
    with node_in_front(market.client.rpc.endpoint, told=told) as url:
        client = ChainClient.connect(url, market.client.deployment)
        try:
            yield client
        finally:
            client.close()


def test_an_auditor_notices_a_node_that_hides_a_round(market: DigitsMarket) -> None:
    """Events and views must agree, and the running hashes with both."""
    committee = new_request(market, rounds=1, privacy={"mode": "none"})
    committee.post_round()
    topic = contract_abi(ROUNDS, SECOND).event_topic("Credited")

    def told(message: Message, result: Any) -> Any:
        if message["method"] != "eth_getLogs":
            return result
        return [log for log in result if log["topics"][0] != topic]

    with asked_through(market, told) as client:
        report = audit(client, market.store, committee.id)
    assert "credits" in {item.name for item in report.failed}


@contextmanager
def branch(market: DigitsMarket, folder: Path) -> Iterator[ChainClient]:
    """A node that goes on by itself from the chain as it is, and signs for whom it likes."""
    command = [str(find_anvil()), "--fork-url", market.client.rpc.endpoint, "--port", "0"]
    child = ChildProcess.start([*command, "--auto-impersonate"], folder / "branch.log")
    try:
        url = "http://" + child.wait_for(re.compile(r"Listening on (\S+:\d+)"), PATIENCE)[1]
        client = ChainClient.connect(url, market.client.deployment)
        yield client
        client.close()
    finally:
        child.stop()


def test_a_whole_invented_branch_is_noticed_only_beside_another_node(
    market: DigitsMarket, tmp_path: Path
) -> None:
    """The stated limit: whoever asks one node alone sees what that node wants.

    Contracts, ids and the first block are the true ones and all that is computed holds; but a
    request was cancelled of which its requester knows nothing.
    """
    request = market.requester.create(market.draft(), market.evaluation, PAYMENT)
    with branch(market, tmp_path) as invented:
        call = invented.market.cancel(request)
        transaction = {"to": call.to, "data": "0x" + call.data.hex(), "gas": hex(10**6)}
        requester = market.requester_keys.address
        invented.rpc.call("eth_sendTransaction", {"from": requester, **transaction})
        invented.rpc.call("anvil_mine", "0x1")

        report = audit(invented, market.store, request)
        assert report.failed == []
        assert invented.rounds.round_facts(request).phase is Phase.ENDED

        market.client.rpc.call("anvil_mine", "0x8")
        told = invented.frame()
        true = market.client.frame_at(told.block_number)
    assert true is not None
    assert true.block_hash != told.block_hash
    assert market.client.rounds.round_facts(request).phase is Phase.WAITING
