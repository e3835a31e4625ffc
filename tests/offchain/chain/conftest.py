"""Accounts that are registered or not, and requests."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from tests.support.chain_request import ChainRequest, People, admit

_organisations = count(1)


@pytest.fixture
def stranger(anvil: Devnet) -> AccountKeys:
    """An account with ether that is not registered."""
    return anvil.new_account()


@pytest.fixture
def participant(anvil: Devnet, client: ChainClient, operator: AccountKeys) -> AccountKeys:
    """A new account, registered with an organisation of its own."""
    keys = anvil.new_account()
    admit(client, operator, keys, next(_organisations))
    return keys


@pytest.fixture
def new_request(client: ChainClient, people: People) -> Callable[..., ChainRequest]:
    """`new_request(**terms)`: published, nobody has joined."""

    def new(**terms: Any) -> ChainRequest:
        return ChainRequest.created(client, people, **terms)

    return new
