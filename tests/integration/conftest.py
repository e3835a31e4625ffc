"""A market on a real chain with one finished request, shared by the tests that read it."""

import pytest

from fedpact.chain.devnet import Devnet
from tests.support.committee import PAYMENT, Committee, Following, Market, open_market
from tests.support.waiting import wait_until


@pytest.fixture(scope="session")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Market:
    return open_market(anvil, tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="session")
def finished(market: Market) -> Committee:
    """A request of two honest rounds, delivered and paid, some seconds after the chain's start:
    tests of the audit move facts to the first block and expect that to be too early."""
    first = market.client.frame_at(0)
    assert first is not None
    wait_until(lambda: market.client.frame().timestamp > first.timestamp + 1)
    request_id = market.requester.create(market.draft(), market.evaluation, PAYMENT)
    committee = Committee(market, request_id)
    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round()
        committee.play_round()
        committee.deliver()
    committee.claim_all()
    return committee
