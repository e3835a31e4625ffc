"""The contracts on the session's chain, and people to use them: one deployment for all folders."""

from collections.abc import Iterator

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.types.deployment import SecondDeployment
from tests.support.chain_request import People, deployed_contracts


@pytest.fixture(scope="session")
def operator(anvil: Devnet) -> AccountKeys:
    """Registrar and guardian."""
    return anvil.new_account()


@pytest.fixture(scope="session")
def deployment(anvil: Devnet, operator: AccountKeys) -> SecondDeployment:
    return deployed_contracts(anvil, operator)


@pytest.fixture(scope="session")
def client(anvil: Devnet, deployment: SecondDeployment) -> Iterator[ChainClient]:
    connected = ChainClient.connect(anvil.url, deployment)
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def people(anvil: Devnet, client: ChainClient, operator: AccountKeys) -> People:
    return People.admitted(anvil, client, operator)
