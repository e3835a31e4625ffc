"""The second protocol's contracts on a real chain, and people to use them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fedpact.chain.client import ClientV2
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.types.deployment import DeploymentV2
from tests.support.second import People, SecondRequest, deployed_second


@pytest.fixture(scope="session")
def operator(anvil: Devnet) -> AccountKeys:
    """Registrar and guardian."""
    return anvil.new_account()


@pytest.fixture(scope="session")
def second_deployment(anvil: Devnet, operator: AccountKeys) -> DeploymentV2:
    return deployed_second(anvil, operator)


@pytest.fixture(scope="session")
def second(anvil: Devnet, second_deployment: DeploymentV2) -> Iterator[ClientV2]:
    client = ClientV2.connect(anvil.url, second_deployment)
    yield client
    client.close()


@pytest.fixture(scope="session")
def people(anvil: Devnet, second: ClientV2, operator: AccountKeys) -> People:
    return People.admitted(anvil, second, operator)


@pytest.fixture
def new_request(second: ClientV2, people: People) -> Callable[..., SecondRequest]:
    """`new_request(**terms)`: published, nobody has joined."""

    def new(**terms: Any) -> SecondRequest:
        return SecondRequest.created(second, people, **terms)

    return new
