"""JSON-RPC over a node's WebSocket: calls, and the heads that the node pushes (`eth_subscribe`).

The library websockets does the protocol; here each answer finds its call. Why neither of web3.py's
two providers does that: docs/adr/0058-heads-are-pushed.md.
"""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from threading import Lock, Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Message = dict[str, Any]
LARGEST_MESSAGE = 2**28
"""Bytes; a longer answer ends the connection."""
HASH_BYTES = 32
CLOSE_SECONDS = 1.0
"""How long the node's farewell is waited for."""


@dataclass(frozen=True)
class Pushed:
    """A head as the node pushed it."""

    number: int
    block: Message
    """Its header, as `eth_getBlockByNumber` has it."""
    at: float
    """When it came, in monotonic seconds."""


class WebSocket:
    """A node's address. Connects when it is asked, and again when the connection was lost; threads
    may share one.

    Calls raise OSError, TimeoutError or ConnectionClosed without an answer, and InvalidHandshake
    where the node refuses the connection.
    """

    def __init__(self, endpoint: str, timeout: float, connect_timeout: float) -> None:
        """In seconds: for each answer, and for connecting."""
        self._endpoint, self._timeout = endpoint, timeout
        self._connect_timeout, self._given_up = connect_timeout, False
        self._numbers = count(1)
        self._line: _Line | None = None
        self._lock = Lock()
        self.on_head: Callable[[Pushed], None] = lambda _: None
        """Called with each head that is pushed, in the thread that reads the socket."""

    def make_request(self, method: str, params: Sequence[Any]) -> Any:
        """The answer to one call: an object with `result` or `error`."""
        asked = self._message(method, params)
        return self._ask(asked["id"], asked)

    def make_batch_request(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> Any:
        """The answers in the order of the calls; one object if the batch was refused as a whole."""
        asked = [self._message(method, params) for method, params in requests]
        answers = self._ask(asked[0]["id"], asked)
        return sorted(answers, key=_number) if isinstance(answers, list) else answers

    @property
    def connection(self) -> object | None:
        """The present connection, another one after each loss; None while there is none."""
        line = self._line
        return line if line is not None and line.open else None

    @property
    def pushed(self) -> Pushed | None:
        """The newest head that came over the present connection."""
        line = self._line
        return line.pushed if line is not None and line.open else None

    def close(self) -> None:
        """The next call connects again."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    def give_up(self) -> None:
        """End the calls that are under way, and connect no more."""
        self._given_up = True
        self.close()

    def _message(self, method: str, params: Sequence[Any]) -> Message:
        number = next(self._numbers)
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}

    def _ask(self, number: int, message: Message | list[Message]) -> Any:
        """Over the present connection; over a new one if it turns out to be lost. Every call may
        safely be repeated: a transaction sent again is the same signed one."""
        text = json.dumps(message)
        kept = self._line
        line = self._connected()
        try:
            return self._answer(line, number, text)
        except (ConnectionClosed, ConnectionError):
            if line is not kept:
                raise
            return self._answer(self._connected(), number, text)

    def _answer(self, line: "_Line", number: int, text: str) -> Any:
        try:
            return line.ask(number, text).result(self._timeout)
        except TimeoutError:
            line.close()  # nothing says that it still leads anywhere
            raise

    def _connected(self) -> "_Line":
        with self._lock:
            if self._given_up:
                raise ConnectionAbortedError("this program is stopping")
            if self._line is None or not self._line.open:
                socket = connect(
                    self._endpoint,
                    open_timeout=self._connect_timeout,
                    close_timeout=CLOSE_SECONDS,
                    max_size=LARGEST_MESSAGE,
                    proxy=None,  # as for HTTP: nothing is taken from the environment
                )
                self._line = _Line(socket, lambda pushed: self.on_head(pushed))
            return self._line


class _Line:
    """One connection, read by a thread of its own."""

    def __init__(self, socket: ClientConnection, on_head: Callable[[Pushed], None]) -> None:
        self._socket, self._on_head = socket, on_head
        self._waiting: dict[int, tuple[Future[Any], bool]] = {}
        """Calls by number (a batch by its first call's), and whether it is a batch."""
        self._lock = Lock()
        self.open = True
        self.pushed: Pushed | None = None
        Thread(target=self._read, name="node socket", daemon=True).start()

    def ask(self, number: int, text: str) -> "Future[Any]":
        """Send a message. Its answer fails with ConnectionError if the connection is lost."""
        answer: Future[Any] = Future()
        with self._lock:
            if not self.open:
                raise ConnectionResetError("the node closed the connection")
            self._waiting[number] = answer, text.startswith("[")
        try:
            self._socket.send(text)
        except ConnectionClosed:
            self.open = False
            raise
        return answer

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        try:
            for text in self._socket:
                self._take(json.loads(text))
        except (ConnectionClosed, ValueError, KeyError, TypeError, AttributeError):
            pass  # What is not JSON-RPC ends the connection too: no answer can be told any more.
        finally:
            with self._lock:
                self.open = False
                lost, self._waiting = self._waiting, {}
            for answer, _ in lost.values():
                answer.set_exception(ConnectionResetError("the node closed the connection"))
            with suppress(OSError, ConnectionClosed):
                self._socket.close()

    def _take(self, message: Any) -> None:
        if isinstance(message, dict) and message.get("method") == "eth_subscription":
            block = message["params"]["result"]
            _require_header(block)
            self.pushed = Pushed(int(block["number"], 16), block, time.monotonic())
            self._on_head(self.pushed)
            return
        first = min(message, key=_number) if isinstance(message, list) else message
        with self._lock:
            number = first.get("id")
            if number is None:
                # A batch that was refused unread; single calls are always answered by number.
                batches = (one for one, (_, batch) in self._waiting.items() if batch)
                number = next(batches, None)
            found = self._waiting.pop(number, None)
        if found is not None:
            found[0].set_result(message)


def _require_header(block: Any) -> None:
    """Raises KeyError, TypeError, ValueError or AttributeError unless it has what is read of a
    head."""
    for name in ("number", "timestamp"):
        int(block[name], 16)
    for name in ("hash", "parentHash"):
        if len(bytes.fromhex(block[name].removeprefix("0x"))) != HASH_BYTES:
            raise ValueError(f"a pushed head's {name} has not {HASH_BYTES} bytes")


def _number(answer: Any) -> int:
    """Of an answer within a batch; raises TypeError or KeyError for what is none."""
    return int(answer["id"])
