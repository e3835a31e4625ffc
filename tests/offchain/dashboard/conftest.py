"""The contracts on a real chain, and an index that follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.dashboard.index.follow import Follower
from fedpact.dashboard.index.tables import IndexFile
from tests.support.chain_request import People, deployed_contracts


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A chain of its own: these tests take blocks back."""
    with Devnet.start(tmp_path_factory.mktemp("anvil")) as devnet:
        yield devnet


@pytest.fixture(scope="module")
def operator(chain: Devnet) -> AccountKeys:
    return chain.new_account()


@pytest.fixture(scope="module")
def client(chain: Devnet, operator: AccountKeys) -> Iterator[ChainClient]:
    client = ChainClient.connect(chain.url, deployed_contracts(chain, operator))
    yield client
    client.close()


@pytest.fixture(scope="module")
def people(chain: Devnet, client: ChainClient, operator: AccountKeys) -> People:
    return People.admitted(chain, client, operator)


@pytest.fixture
def new_index(client: ChainClient, tmp_path: Path) -> Iterator[Callable[[str], Follower]]:
    """`new_index(name)`: follows the chain from its first block."""
    with ExitStack() as stack:

        def new(name: str) -> Follower:
            file = stack.enter_context(IndexFile(tmp_path / name, writes=True))
            store = EmbeddedStore(tmp_path / "content")
            return stack.enter_context(Follower(client, store, file))

        yield new
