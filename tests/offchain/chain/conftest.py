"""The three contracts on a real chain, and people to use them."""

from collections.abc import Iterator

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.deployment import deploy
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.types.deployment import Deployment
from fedpact.types.rounds import ApprovalRule, LeaderRule, Terms
from tests.offchain.chain.people import admitted


@pytest.fixture(scope="session")
def registrar(anvil: Devnet) -> AccountKeys:
    return anvil.new_account()


@pytest.fixture(scope="session")
def deployment(anvil: Devnet, registrar: AccountKeys) -> Deployment:
    return deploy(ChainClient.connect(anvil.url, None), registrar)


@pytest.fixture
def client(anvil: Devnet, deployment: Deployment) -> Iterator[ChainClient]:
    connected = ChainClient.connect(anvil.url, deployment)
    yield connected
    connected.close()


@pytest.fixture
def stranger(anvil: Devnet) -> AccountKeys:
    """An account with ether that is not registered."""
    return anvil.new_account()


@pytest.fixture
def participant(anvil: Devnet, client: ChainClient, registrar: AccountKeys) -> AccountKeys:
    return admitted(anvil, client, registrar)


@pytest.fixture
def terms() -> Terms:
    return Terms(
        specification=b"\x01" * 32,
        evaluation=b"\x02" * 32,
        initial_model=b"\x03" * 32,
        query_key=b"\x04" * 32,
        max_error=9000,
        target=500,
        max_rounds=7,
        min_providers=2,
        max_providers=3,
        leader_rule=LeaderRule.REPUTATION,
        approval_rule=ApprovalRule.UNANIMOUS,
        vote_band=50,
        join_window=60,
        start_window=61,
        submit_window=62,
        commit_window=63,
        reveal_window=64,
        propose_window=65,
        deliver_window=66,
    )
