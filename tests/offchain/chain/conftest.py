"""The contracts on a real chain, and people to use them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.types.deployment import Deployment, PresentDeployment
from tests.offchain.chain.people import admitted
from tests.support.second import People, SecondRequest, deployed_second


@pytest.fixture(scope="session")
def registrar(anvil: Devnet) -> AccountKeys:
    return anvil.new_account()


@pytest.fixture(scope="session")
def deployment(anvil: Devnet, registrar: AccountKeys) -> Deployment:
    return deployed_second(anvil, registrar)


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


@pytest.fixture(scope="session")
def operator(anvil: Devnet) -> AccountKeys:
    """Registrar and guardian."""
    return anvil.new_account()


@pytest.fixture(scope="session")
def second_deployment(anvil: Devnet, operator: AccountKeys) -> PresentDeployment:
    return deployed_second(anvil, operator)


@pytest.fixture(scope="session")
def second(anvil: Devnet, second_deployment: PresentDeployment) -> Iterator[ChainClient]:
    client = ChainClient.connect(anvil.url, second_deployment)
    yield client
    client.close()


@pytest.fixture(scope="session")
def people(anvil: Devnet, second: ChainClient, operator: AccountKeys) -> People:
    return People.admitted(anvil, second, operator)


@pytest.fixture
def new_request(second: ChainClient, people: People) -> Callable[..., SecondRequest]:
    """`new_request(**terms)`: published, nobody has joined."""

    def new(**terms: Any) -> SecondRequest:
        return SecondRequest.created(second, people, **terms)

    return new
