"""A node that hangs while its user ends: the call was waited for, ten seconds long."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from urllib3.connection import HTTPConnection
from websockets.sync.server import ServerConnection, serve

from fedpact.chain.node import Node
from fedpact.errors import NodeUnreachable
from tests.support.waiting import PATIENCE

LONG = 100 * PATIENCE
"""Seconds for which an answer is waited for, if nobody gives it up."""
Asked = threading.Event


@contextmanager
def over_http() -> Iterator[tuple[str, Asked]]:
    """Takes connections and calls, and never answers."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with server.accept()[0] as connection:
                if connection.recv(1):
                    asked.set()
                while connection.recv(1024):
                    pass

        listening = threading.Thread(target=listen)
        listening.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        listening.join()


@contextmanager
def over_websocket() -> Iterator[tuple[str, Asked]]:
    asked = threading.Event()

    def hear(connection: ServerConnection) -> None:
        for _ in connection:
            asked.set()

    with serve(hear, "127.0.0.1", 0) as server:
        running = threading.Thread(target=server.serve_forever)
        running.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", asked
        server.shutdown()
        running.join()


@pytest.mark.parametrize("hanging", [over_http, over_websocket])
def test_a_call_that_hangs_ends_when_it_is_given_up(hanging: Callable[[], object]) -> None:
    said: list[str] = []
    with hanging() as (address, asked):  # type: ignore[attr-defined]
        node = Node(address, timeout=LONG)

        def call() -> None:
            try:
                node.call("eth_chainId", [])
            except NodeUnreachable as error:
                said.append(str(error))

        calling = threading.Thread(target=call, daemon=True)
        calling.start()
        assert asked.wait(PATIENCE)
        node.give_up()
        calling.join(PATIENCE)
        assert said == [f"node {address} does not answer: {said[0].rpartition(': ')[2]}"]
        with pytest.raises(NodeUnreachable, match="is not asked any more"):
            node.call("eth_chainId", [])
        node.close()


def test_a_call_that_is_just_connecting_ends_when_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was asked all the same, and its answer was waited for."""
    connecting, go, said = threading.Event(), threading.Event(), list[str]()
    connected = HTTPConnection._new_conn

    def slowly(self: HTTPConnection) -> socket.socket:
        connecting.set()
        assert go.wait(PATIENCE)
        return connected(self)

    monkeypatch.setattr(HTTPConnection, "_new_conn", slowly)
    with over_http() as (address, asked):
        node = Node(address, timeout=LONG)

        def call() -> None:
            try:
                node.call("eth_chainId", [])
            except NodeUnreachable as error:
                said.append(str(error))

        calling = threading.Thread(target=call, daemon=True)
        calling.start()
        assert connecting.wait(PATIENCE)
        node.give_up()
        go.set()
        calling.join(PATIENCE)
        assert len(said) == 1
        assert not asked.is_set()
        node.close()
