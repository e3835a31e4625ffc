"""Nodes over WebSocket: calls of several threads, heads that are pushed, and lost connections."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Any

import pytest

from fedpact.chain import failover, heads, health
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.node_errors import Capability, FaultKind, RpcError
from fedpact.chain.websocket import Pushed
from fedpact.errors import NodeUnreachable
from fedpact.logs import NOISY
from tests.support.node_proxy import node_in_front
from tests.support.socket_relay import relayed
from tests.support.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A chain that makes a block only on request."""
    with Devnet.start(tmp_path_factory.mktemp("anvil"), block_time=3600) as devnet:
        yield devnet


@contextmanager
def following(*endpoints: str) -> Iterator[tuple[ChainClient, SimpleQueue[None]]]:
    """A client that has subscribed, and what it is told of new heads."""
    told: SimpleQueue[None] = SimpleQueue()
    with closing(ChainClient.connect(endpoints, None)) as client:
        client.follow_heads(lambda: told.put(None))
        client.frame()
        yield client, told


def mined(anvil: Devnet, told: SimpleQueue[None]) -> int:
    """The number of a new block, of which the client was told."""
    while not told.empty():
        told.get()
    anvil.mine()
    told.get(timeout=PATIENCE)
    with closing(ChainClient.connect(anvil.url, None)) as another:
        return another.frame().block_number


def test_threads_that_share_a_socket_each_get_their_own_answers(anvil: Devnet) -> None:
    """web3.py's old provider gave one thread the answer of another, or an error."""
    numbers = [hex(number) for number in range(40)]
    with closing(ChainClient.connect(anvil.url.replace("http", "ws"), None)) as client:

        def asked(number: str) -> int:
            call = ("web3_sha3", [f"0x{int(number, 16):02x}"])
            single, batch = client.rpc.call(*call[:1], *call[1]), client.rpc.batch([call, call])
            assert [single, single] == batch
            return int(single, 16)

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(asked, numbers))) == len(numbers)


def test_a_head_that_was_pushed_is_not_asked_for(anvil: Devnet) -> None:
    with relayed(anvil.url) as (relay, url), following(url) as (client, told):
        newest = mined(anvil, told)
        asked = len(relay.asked)
        assert client.frame().block_number == newest
        assert client.frame(1).block_number == newest - 1
        assert client.frame(1).block_number == newest - 1
        assert relay.asked[asked:] == ["eth_getBlockByNumber"]  # the confirmed block, once


def test_a_head_below_an_own_transaction_is_not_taken(anvil: Devnet) -> None:
    with relayed(anvil.url) as (relay, url), following(url) as (client, told):
        newest = mined(anvil, told)
        relay.pushes = False
        anvil.mine()
        assert client.frame().block_number == newest
        client.sender.mined_block = newest + 1
        assert client.frame().block_number == newest + 1


@pytest.mark.parametrize(
    "shown",
    [
        lambda _: None,
        lambda _: "0x5",
        lambda header: {name: header[name] for name in header if name != "hash"},
        lambda header: {**header, "number": "latest"},
        lambda header: {**header, "number": 5},
        lambda header: {**header, "number": None},
        lambda header: {**header, "hash": None},
        lambda header: {**header, "hash": "0x1"},
        lambda header: {**header, "hash": "z" * 66},
        lambda header: {**header, "timestamp": "soon"},
        lambda header: {**header, "timestamp": None},
    ],
    ids=[
        *("no header", "a text", "no hash", "no number in it", "a bare number", "number null"),
        *("hash null", "a short hash", "a hash in other letters", "no time in it", "time null"),
    ],
)
def test_a_malformed_header_is_not_taken_for_a_head(
    anvil: Devnet, shown: Callable[[Any], Any]
) -> None:
    with relayed(anvil.url) as (relay, url), following(url) as (client, told):
        mined(anvil, told)
        relay.shown = shown
        anvil.mine()
        wait_until(lambda: relay.ended == 1)  # by the client, which has read it
        relay.shown = lambda header: header
        with closing(ChainClient.connect(anvil.url, None)) as another:
            true = another.frame()
        assert client.frame() == true
        mined(anvil, told)


class IdleSocket:
    """A node's socket, which has pushed `pushed`; counts how often it was given up."""

    def __init__(self) -> None:
        self.pushed: Pushed | None = None
        self.connection = object()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("pushes", [False, True])
def test_a_chain_that_stands_still_is_no_lost_connection(
    monkeypatch: pytest.MonkeyPatch, pushes: bool
) -> None:
    """Nodes were connected to again every minute, on any chain whose blocks are a minute apart."""
    now = 1_000.0
    monkeypatch.setattr(heads.time, "monotonic", lambda: now)
    socket: Any = IdleSocket()
    one = heads.PushedHeads(socket, lambda *_: "0x1", set(), "node")
    one.subscribe()
    if pushes:
        socket.pushed = Pushed(1, {"hash": "0xa"}, now)
    for _ in range(20):
        now += 10
        one.compare({"hash": "0xa"})
    now += 1
    one.compare({"hash": "0xb"})  # is pushed the next moment
    assert socket.closed == 0
    now += heads.SILENT_FOR
    one.compare({"hash": "0xb"})
    assert socket.closed == 1


@pytest.mark.parametrize("cut", ["idle", "pushing nothing"])
def test_a_lost_connection_is_made_again_with_its_subscription(
    anvil: Devnet, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    with relayed(anvil.url) as (relay, url), following(url) as (client, told):
        mined(anvil, told)
        if cut == "idle":
            relay.cut()
        else:  # and neither pings nor answers show it
            monkeypatch.setattr(heads, "BELIEVED_FOR", 0.0)
            monkeypatch.setattr(heads, "SILENT_FOR", 0.0)
            relay.pushes = False
            anvil.mine()
            client.frame()
            relay.pushes = True
            monkeypatch.undo()
        anvil.mine()
        with closing(ChainClient.connect(anvil.url, None)) as another:
            wait_until(lambda: client.frame().block_number == another.frame().block_number)
        assert relay.asked.count("eth_subscribe") == 2
        newest, asked = mined(anvil, told), len(relay.asked)
        assert client.frame().block_number == newest
        assert relay.asked[asked:] == []


def test_another_node_is_polled_until_the_socket_is_there_again(
    anvil: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PROBE_EVERY", 0.0)
    monkeypatch.setattr(health, "LONGEST_PAUSE", 0.1)
    polled: list[str] = []
    with (
        relayed(anvil.url) as (relay, url),
        node_in_front(anvil.url, lambda message: polled.append(message["method"])) as http,
        following(http, url) as (client, told),
    ):
        wait_until(lambda: client.frame() is not None and client.rpc.endpoint == url)
        relay.refuses = True
        relay.cut()
        anvil.mine()
        polled.clear()
        number = client.frame().block_number
        assert client.rpc.endpoint == http
        assert "eth_getBlockByNumber" in polled
        relay.refuses = False
        wait_until(lambda: client.frame() is not None and client.rpc.endpoint == url)
        monkeypatch.undo()
        assert mined(anvil, told) == number + 1
        polled.clear()
        assert client.frame().block_number == number + 1
        assert polled == []


def test_a_node_that_pushes_nothing_is_polled_and_asked_once(anvil: Devnet) -> None:
    with relayed(anvil.url, subscribes=False) as (relay, url), following(url) as (client, _):
        for _ in range(3):
            number = client.frame().block_number
            anvil.mine()
            assert client.frame().block_number == number + 1
        assert relay.asked.count("eth_subscribe") == 1
        assert client.rpc.nodes[0].lacks == {Capability.HEADS}


def test_a_refused_connection_tells_its_status_and_no_secret(
    anvil: Devnet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    with relayed(anvil.url) as (relay, url):
        relay.refuses = True
        secret = url.replace("ws://", "ws://user:password@") + "/v3/project-key"
        with pytest.raises(RpcError, match="HTTP status 503") as caught:
            ChainClient.connect(secret, None)
        assert caught.value.fault.kind is FaultKind.TRANSIENT
        relay.refuses = False
        ChainClient.connect(secret, None).close()
    with pytest.raises(NodeUnreachable) as away:
        ChainClient.connect(secret, None, timeout=1)
    for said in (str(caught.value), str(away.value), caplog.text):
        assert "password" not in said
        assert "project-key" not in said
