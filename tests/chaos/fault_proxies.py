"""What a node or a store does to one process, as rules that come and go (`node_in_front`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from random import Random
from threading import Lock
from typing import Any

import urllib3
from eth_utils.crypto import keccak

from tests.chaos.schedule import Kind
from tests.support.node_proxy import Dropped, HttpAnswer, Message, node_in_front, serving

SEND = "eth_sendRawTransaction"
RANGE_TOO_LARGE = -32005
DELAY_SECONDS = 3.0
ERRORS = {
    "error -32005": {
        "code": -32005,
        "message": "daily request count exceeded, request rate limited",
    },
    "error -32603": {"code": -32603, "message": "internal error"},
    "beyond head": {"code": -32000, "message": "block range extends beyond current head block"},
}
STATUS = {"429": 429, "502": 502}


@dataclass
class Rule:
    kind: Kind
    until: float
    """Monotonic seconds."""


class Weather:
    """The faults of one process's node. `fired` is told each that begins; `kill` ends the process.

    Called from the proxy's threads and the driver's.
    """

    def __init__(
        self, url: str, seed: int, fired: Callable[[Kind], None], kill: Callable[[], None]
    ) -> None:
        """`url`: of the node behind it."""
        self.url, self._random = url, Random(seed)
        self._pool = urllib3.PoolManager()
        self._fired, self._kill = fired, kill
        self._rules: list[Rule] = []
        self._armed: list[Kind] = []
        self._lock = Lock()
        self.poor = False
        """Lacks EIP-1898, the tip of EIP-1559 and batches."""

    def strike(self, kind: Kind) -> None:
        """Start now, for `kind.seconds`."""
        self._fired(kind)
        with self._lock:
            self._rules.append(Rule(kind, time.monotonic() + kind.seconds))

    def arm(self, kind: Kind) -> None:
        """Start at the next transaction."""
        with self._lock:
            self._armed.append(kind)

    def disarm(self) -> None:
        with self._lock:
            self._armed.clear()

    @property
    def active(self) -> list[Kind]:
        now = time.monotonic()
        with self._lock:
            self._rules = [rule for rule in self._rules if rule.until > now]
            return [rule.kind for rule in self._rules]

    def habit(self, message: Message) -> Message | None:
        """Before a message is passed on; see `node_in_front`."""
        if self.poor and (error := _poor(message)):
            return error
        for kind in self.active:
            error = self._strike_by(kind, message)
            if error is not None:
                return error
        return self._before_sending(message) if message["method"] == SEND else None

    def told(self, message: Message, result: Any) -> Any:
        """The result that this process receives."""
        method = message["method"]
        if method == SEND:
            if self._draw("killed after sending", "creation killed after sending"):
                self._kill()
                raise Dropped
            if self._draw("answer to sending lost"):
                raise Dropped
        pending = method == "eth_getTransactionCount" and message["params"][1:] == ["pending"]
        if pending and self._draw("nonce one too high"):
            return hex(int(result, 16) + 1)
        for kind in self.active:
            if kind.name == "null for a block" and method.startswith("eth_getBlockBy"):
                return None
            if kind.name == "logs a block late" and method == "eth_getLogs":
                head = self._head()
                result = [entry for entry in result if int(entry["blockNumber"], 16) < head]
            if kind.name == "truncated answers" and self._chance(kind):
                raise HttpAnswer(200, b'{"jsonrpc": "2.0", "id": 1, "resu')
        return result

    def _before_sending(self, message: Message) -> Message | None:
        if self._draw("killed before sending", "creation killed before sending"):
            self._kill()
            raise Dropped
        if self._draw("sending refused"):
            raise HttpAnswer(429, b"slow down", Retry_After="1")
        if self._draw("transaction dropped"):
            raise HttpAnswer(200, _taken(message))
        return None

    def _strike_by(self, kind: Kind, message: Message) -> Message | None:
        name, method = kind.name, message["method"]
        if name in ERRORS:
            return ERRORS[name]
        if name == "403 with a body":
            raise HttpAnswer(403, b"<html>forbidden</html>")
        if name.startswith("no answer"):
            raise Dropped
        if name[:3] in STATUS and self._chance(kind):
            raise HttpAnswer(STATUS[name[:3]], b"try again")
        if name == "dropped connections" and self._chance(kind):
            raise Dropped
        if name == "delayed answers" and self._chance(kind):
            time.sleep(self._random.uniform(0, DELAY_SECONDS))
        if name.startswith("ranges") and method == "eth_getLogs" and _blocks(message) > kind.amount:
            return {"code": RANGE_TOO_LARGE, "message": f"more than {kind.amount} blocks"}
        if name in ("no batches", "batches of 3") and message.get("batch", 1) > kind.amount:
            return {"code": 31, "message": f"Batch of more than {kind.amount} requests"}
        if name.startswith("head") and message["params"][:1] == ["latest"]:
            message["params"][0] = hex(max(0, self._head() - kind.amount))
        return None

    def _head(self) -> int:
        """The number of the chain's newest block."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        answer = self._pool.request("POST", self.url, json=asked).json()
        return int(answer["result"], 16)

    def _draw(self, *names: str) -> bool:
        """Whether one of these faults is armed; asking disarms it."""
        with self._lock:
            kind = next((one for one in self._armed if one.name in names), None)
            if kind is None:
                return False
            self._armed.remove(kind)
        self._fired(kind)
        return True

    def _chance(self, kind: Kind) -> bool:
        with self._lock:
            return self._random.randrange(100) < kind.amount


def _poor(message: Message) -> Message | None:
    method, params = message["method"], message["params"]
    if any(isinstance(one, dict) and "blockHash" in one for one in params[1:]):
        return {"code": -32602, "message": "invalid argument 1: argument must be a string"}
    if method == "eth_maxPriorityFeePerGas":
        return {"code": -32601, "message": f"the method {method} does not exist"}
    if message.get("batch", 1) > 1:
        return {"code": -32600, "message": "batch requests are not supported"}
    return None


def _blocks(message: Message) -> int:
    query = message["params"][0]
    if "blockHash" in query:
        return 1
    return int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1


def _taken(message: Message) -> bytes:
    """Answer as a node that took the transaction, without passing it on."""
    digest = keccak(hexstr=message["params"][0]).hex()
    return b'{"jsonrpc": "2.0", "id": %d, "result": "0x%s"}' % (message["id"], digest.encode())


@contextmanager
def node_with(weather: Weather) -> Iterator[str]:
    """Address of a node with this weather."""
    with node_in_front(weather.url, weather.habit, weather.told) as address:
        yield address


class StoreWeather:
    """The faults of an IPFS node's RPC, for all its users."""

    def __init__(self) -> None:
        self._name, self._until = "", 0.0

    def strike(self, kind: Kind) -> None:
        self._name, self._until = kind.name, time.monotonic() + kind.seconds

    @property
    def active(self) -> str:
        return self._name if time.monotonic() < self._until else ""

    def says_nothing(self, path: str) -> bool:
        """Whether a request for this path waits, and gets no answer in the end."""
        return self.active == "store silent"


@contextmanager
def store_with(weather: StoreWeather, url: Callable[[], str]) -> Iterator[str]:
    """Address of an IPFS node's RPC with this weather; `url` is where the node is at present."""
    pool = urllib3.PoolManager(maxsize=8)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self._body()
            if weather.says_nothing(self.path):
                while weather.says_nothing(self.path):
                    time.sleep(0.2)
                self.close_connection = True
                return
            if weather.active == "store answers 500":
                return self._answer(500, b'{"Message": "something broke", "Code": 0}')
            passed = ("Content-Type", "Authorization")
            headers = {name: self.headers[name] for name in passed if name in self.headers}
            try:
                found = pool.request(
                    "POST", url() + self.path, body=body, headers=headers, retries=False
                )
            except urllib3.exceptions.HTTPError:
                self.close_connection = True
                return None
            data = found.data
            if weather.active == "store corrupted" and "/cat?" in self.path:
                data = bytes(len(data))
            return self._answer(found.status, data)

        def _body(self) -> bytes:
            if "Content-Length" in self.headers:
                return self.rfile.read(int(self.headers["Content-Length"]))
            parts = []
            while self.headers.get("Transfer-Encoding") == "chunked":
                size = int(self.rfile.readline(), 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    break
            return b"".join(parts)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with pool, serving(Handler) as address:
        yield address
