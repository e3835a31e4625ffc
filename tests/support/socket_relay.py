"""A relay in front of a node's WebSocket: it cuts or refuses connections, and
holds back or falsifies heads."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve


class Relay:
    """`asked`: the methods that came through, in order."""

    def __init__(self, node: str, *, subscribes: bool) -> None:
        self._node = node.replace("http://", "ws://")
        self._held: list[ServerConnection] = []
        self._subscribes = subscribes
        self.asked: list[str] = []
        self.pushes, self.refuses = True, False
        self.shown: Callable[[Any], Any] = lambda header: header
        """What it makes of the header of a pushed head."""
        self.ended = 0
        """How many connections are over."""

    def cut(self) -> None:
        """End all connections without a farewell."""
        while self._held:
            self._held.pop().close_socket()

    def admit(self, connection: ServerConnection, _: Request) -> Response | None:
        if self.refuses:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        return None

    def pass_on(self, connection: ServerConnection) -> None:
        with connect(self._node, proxy=None) as node:
            self._held.append(connection)
            Thread(target=self._answer, args=(node, connection), daemon=True).start()
            with suppress(ConnectionClosed):
                for text in connection:
                    asked = json.loads(text)
                    each = asked if isinstance(asked, list) else [asked]
                    self.asked += [one["method"] for one in each]
                    node.send(text if self._subscribes else _unknown(text))
            self.ended += 1

    def _answer(self, node: ClientConnection, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for text in node:
                message: Any = json.loads(text)
                if "method" not in message:
                    connection.send(text)
                elif self.pushes:
                    told = message["params"]
                    told["result"] = self.shown(told["result"])
                    connection.send(json.dumps(message))


def _unknown(text: str | bytes) -> str | bytes:
    """With a method that no node knows in place of the subscription."""
    assert isinstance(text, str)
    return text.replace("eth_subscribe", "eth_nonsense")


@contextmanager
def relayed(node: str, *, subscribes: bool = True) -> Iterator[tuple[Relay, str]]:
    """A relay to the node at this http:// address, and its own ws:// address. `subscribes`: whether
    the node knows subscriptions."""
    relay = Relay(node, subscribes=subscribes)
    server: Server
    with serve(relay.pass_on, "127.0.0.1", 0, process_request=relay.admit) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield relay, f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            relay.cut()
            server.shutdown()
            thread.join()
