"""A node that hangs while its user ends: the call was waited for, ten seconds long."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
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
                connection.recv(1)
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
