import os
from pathlib import Path

import pytest

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.ipfs_node import IpfsNode
from fedpact.content.ipfs_store import IpfsStore
from fedpact.errors import ContentMismatch, ContentMissing, ContentTooLarge, StoreUnreachable
from fedpact.types.cid import CHUNK_BYTES, Cid
from tests.integration.ipfs.kubo_rpc import MAX_REQUEST_BYTES, rpc


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 50_000_000])
def test_the_node_and_the_embedded_store_give_equal_cids(
    store: IpfsStore, tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    cid = store.put(data)
    assert cid == EmbeddedStore(tmp_path).put(data)
    assert store.has(cid)
    assert store.get(cid, size) == data


def test_content_added_at_one_node_is_fetched_from_the_other(
    nodes: tuple[IpfsNode, IpfsNode], stores: tuple[IpfsStore, IpfsStore]
) -> None:
    here, there = stores
    data = os.urandom(1_000_000)
    cid = here.put(data)
    assert not there.has(cid)
    connected = rpc(nodes[1], "swarm/connect", arg=nodes[0].addresses[0])
    assert connected.json() == {"Strings": [f"connect {nodes[0].peer_id} success"]}
    assert there.get(cid, len(data)) == data
    assert there.has(cid)
    peers = rpc(nodes[1], "swarm/peers").json()["Peers"]
    assert nodes[0].peer_id in {peer["Peer"] for peer in peers}


def test_pinning_fetches_content_from_the_other_node(
    nodes: tuple[IpfsNode, IpfsNode], stores: tuple[IpfsStore, IpfsStore]
) -> None:
    here, there = stores
    rpc(nodes[1], "swarm/connect", arg=nodes[0].addresses[0]).raise_for_status()
    cid = here.put(os.urandom(600_000))
    there.pin(cid)
    there.pin(cid)
    assert there.has(cid)
    pinned = rpc(nodes[1], "pin/ls", arg=str(cid)).json()
    assert pinned == {"Keys": {str(cid): {"Type": "recursive"}}}


def test_content_nobody_holds_is_missing(node: IpfsNode) -> None:
    store = IpfsStore(node.url, timeout=0.5)
    cid = Cid.of(os.urandom(100))
    assert not store.has(cid)
    with pytest.raises(ContentMissing, match="nothing in"):
        store.get(cid, 100)


def test_the_node_gives_up_after_the_given_timeout(node: IpfsNode) -> None:
    cid = Cid.of(os.urandom(100))
    answer = rpc(node, "cat", arg=str(cid), timeout="0.2s")
    assert answer.status_code == 500
    assert str(cid) in answer.json()["Message"]


def test_content_with_a_missing_block_is_not_held(
    stores: tuple[IpfsStore, IpfsStore], nodes: tuple[IpfsNode, IpfsNode]
) -> None:
    tail = os.urandom(5)
    cid = stores[0].put(os.urandom(CHUNK_BYTES) + tail)
    leaf = stores[0].put(tail)
    stores[0].unpin(cid)
    stores[0].collect_garbage()
    assert stores[0].has(leaf)
    assert not stores[0].has(cid)


def test_oversized_content_is_refused(store: IpfsStore) -> None:
    data = os.urandom(300_000)
    cid = store.put(data)
    with pytest.raises(ContentTooLarge, match="299999 bytes allowed"):
        store.get(cid, 299_999)
    with pytest.raises(ContentTooLarge, match=f"larger than {MAX_REQUEST_BYTES}"):
        store.put(bytes(MAX_REQUEST_BYTES + 1))


def test_a_block_changed_on_the_node_s_disk_is_noticed(store: IpfsStore, node: IpfsNode) -> None:
    data = os.urandom(1000)
    cid = store.put(data)
    repository = Path(rpc(node, "repo/stat").json()["RepoPath"])
    (block,) = [
        p for p in (repository / "blocks").rglob("*") if p.is_file() and p.read_bytes() == data
    ]
    block.write_bytes(data[::-1])
    with pytest.raises(ContentMismatch):
        store.get(cid, 1000)
    # A collection stops at a pinned tree that is not whole.
    block.unlink()
    with pytest.raises(StoreUnreachable, match="not found locally"):
        store.collect_garbage()
    store.unpin(cid)
    store.collect_garbage()


def test_collecting_spares_blocks_that_another_pinned_tree_shares(store: IpfsStore) -> None:
    shared = os.urandom(CHUNK_BYTES)
    one, other = shared + b"one", shared + b"other"
    first, second = store.put(one), store.put(other)
    store.unpin(first)
    store.unpin(first)
    assert store.collect_garbage() >= 2
    assert not store.has(first)
    assert store.get(second, len(other)) == other
    assert store.put(one) == first
    store.unpin(second)
    store.collect_garbage()
    assert store.get(first, len(one)) == one


# ipfshttpclient, unmaintained since 2021, gives urllib3 a parameter that has no effect any more.
@pytest.mark.filterwarnings("ignore:The 'strict' parameter is no longer needed:FutureWarning")
def test_the_foreign_client_adds_and_reads(node: IpfsNode, store: IpfsStore) -> None:
    ipfshttpclient = pytest.importorskip("ipfshttpclient")
    port = node.url.rsplit(":", 1)[1]
    data = os.urandom(700_000)
    with ipfshttpclient.Client(f"/ip4/127.0.0.1/tcp/{port}/http") as client:
        # Its own default is CIDv0, with leaves in dag-pb.
        old = client.add_bytes(data)
        assert old.startswith("Qm")
        assert client.cat(old) == data
        assert client.cat(old, offset=262_140, length=8) == data[262_140:262_148]
        cid = client.add_bytes(data, opts={"cid-version": 1})
        assert cid == str(Cid.of(data))
        assert store.get(Cid.parse(cid), len(data)) == data
        assert client.cat(str(store.put(b"ours"))) == b"ours"
        assert cid in client.pin.ls(type="recursive")["Keys"]
        assert client.block.get(str(store.put(b"ours"))) == b"ours"
        assert client.id()["ID"] == node.peer_id


def test_sizes_are_reported(node: IpfsNode, store: IpfsStore) -> None:
    cid = store.put(os.urandom(CHUNK_BYTES + 1))
    stat = rpc(node, "files/stat", arg=f"/ipfs/{cid}").json()
    assert (stat["Size"], stat["Blocks"], stat["Type"]) == (CHUNK_BYTES + 1, 2, "file")
    dag = rpc(node, "dag/stat", arg=str(cid)).json()
    assert dag["UniqueBlocks"] == 3
    root = rpc(node, "block/stat", arg=str(cid)).json()["Size"]
    assert dag["TotalSize"] == CHUNK_BYTES + 1 + root


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Referer": "http://evil.example/page"},
        {"User-Agent": "Mozilla/5.0"},
        {"Host": "evil.example"},
    ],
)
def test_requests_from_a_browser_are_forbidden(node: IpfsNode, headers: dict[str, str]) -> None:
    assert rpc(node, "id", headers=headers).status_code == 403


def test_only_known_commands_are_answered_and_only_to_post(node: IpfsNode) -> None:
    assert rpc(node, "id", method="GET").status_code == 405
    assert rpc(node, "config/show").status_code == 404
    assert rpc(node, "constructor").status_code == 404


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("cat", {}),
        ("cat", {"arg": "nonsense"}),
        ("cat", {"arg": str(Cid.of(b"")), "length": "-1"}),
        ("cat", {"arg": str(Cid.of(b"")), "timeout": "soon"}),
        ("add", {"chunker": "rabin", "files": {"file": b"x"}}),
        ("add", {"chunker": "size-0", "files": {"file": b"x"}}),
        ("add", {"cid-version": "2", "files": {"file": b"x"}}),
        ("add", {"only-hash": "true", "files": {"file": b"x"}}),
        ("add", {}),
    ],
)
def test_bad_arguments_are_refused_in_json(
    node: IpfsNode, command: str, options: dict[str, object]
) -> None:
    answer = rpc(node, command, **options)
    assert answer.status_code in (400, 500)
    assert answer.json()["Message"]


@pytest.mark.parametrize("host", ["ip4/192.0.2.1", "dns4/node.example", "ip6/2001:db8::1"])
def test_nothing_outside_the_machine_is_dialled(node: IpfsNode, host: str) -> None:
    answer = rpc(node, "swarm/connect", arg=f"/{host}/tcp/4001/p2p/{node.peer_id}")
    assert answer.status_code == 500
    assert "only loopback" in answer.json()["Message"]
