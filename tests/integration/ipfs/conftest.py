"""Two Helia nodes on loopback for the whole session; a test that stops a node starts its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fedpact.content.ipfs_node import IpfsNode
from fedpact.content.ipfs_store import IpfsStore
from tests.integration.ipfs.kubo_rpc import MAX_REQUEST_BYTES
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IpfsNode, IpfsNode]]:
    def start(folder: Path) -> IpfsNode:
        return IpfsNode.start(folder, max_request_bytes=MAX_REQUEST_BYTES, timeout=PATIENCE)

    # Not in the threads: the first of a worker's folders is made after all of them are removed.
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(start, folders)
    yield first, second
    first.close()
    second.close()


@pytest.fixture
def node(nodes: tuple[IpfsNode, IpfsNode]) -> IpfsNode:
    return nodes[0]


@pytest.fixture
def stores(nodes: tuple[IpfsNode, IpfsNode]) -> Iterator[tuple[IpfsStore, IpfsStore]]:
    opened = tuple(IpfsStore(node.url, timeout=30) for node in nodes)
    yield opened[0], opened[1]
    for store in opened:
        store.close()


@pytest.fixture
def store(stores: tuple[IpfsStore, IpfsStore]) -> IpfsStore:
    return stores[0]
