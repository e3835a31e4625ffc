"""The three contracts on a real chain, and people to use them."""

from collections.abc import Iterator

import pytest

from fedpact.chain.client import ClientV2
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.types.deployment import Deployment
from tests.offchain.chain.people import admitted
from tests.support.second import deployed_second


@pytest.fixture(scope="session")
def registrar(anvil: Devnet) -> AccountKeys:
    return anvil.new_account()


@pytest.fixture(scope="session")
def deployment(anvil: Devnet, registrar: AccountKeys) -> Deployment:
    return deployed_second(anvil, registrar)


@pytest.fixture
def client(anvil: Devnet, deployment: Deployment) -> Iterator[ClientV2]:
    connected = ClientV2.connect(anvil.url, deployment)
    yield connected
    connected.close()


@pytest.fixture
def stranger(anvil: Devnet) -> AccountKeys:
    """An account with ether that is not registered."""
    return anvil.new_account()


@pytest.fixture
def participant(anvil: Devnet, client: ClientV2, registrar: AccountKeys) -> AccountKeys:
    return admitted(anvil, client, registrar)
