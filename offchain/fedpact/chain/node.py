"""One Ethereum node: over HTTP and IPC by web3.py's providers, over WebSocket by `websocket`."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import SHUT_RDWR
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from web3 import HTTPProvider, IPCProvider
from web3.providers import JSONBaseProvider
from web3.types import RPCEndpoint
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fedpact.chain.heads import PushedHeads
from fedpact.chain.health import CallBudget, Health
from fedpact.chain.node_errors import (
    BATCH,
    Capability,
    Fault,
    FaultKind,
    RpcError,
    http_refusal,
    refusal,
)
from fedpact.chain.records import Frame
from fedpact.chain.websocket import Pushed, WebSocket
from fedpact.errors import NodeUnreachable, SettingsError

log = logging.getLogger(__name__)
T = TypeVar("T")

Request = tuple[str, Sequence[Any]]
"""Method and parameters."""
SCHEMES = ("http", "https", "ws", "wss")
CONNECT_SECONDS = 5.0
"""Longest time for connecting: a node that takes longer is not there."""
LARGEST_BATCH = 100
"""Calls in one batch at first; halved for a node that refuses it."""


class Node:
    """A node, what it cannot do, and how it has been answering. Threads may share one."""

    def __init__(self, endpoint: str, timeout: float = 10.0, calls_per_minute: int = 0) -> None:
        """`timeout` in seconds for each answer; `calls_per_minute` 0: any.

        Raises SettingsError for an address of another kind.
        """
        self.endpoint = endpoint
        self.shown = _shown(endpoint)
        self._adapter = _Adapter()
        self._session = _session(self._adapter) if endpoint.startswith("http") else None
        self._provider = _provider(endpoint, timeout, self._session)
        self.health = Health()
        self.budget = CallBudget(calls_per_minute)
        self.lacks: set[Capability] = set()
        self.largest_batch = LARGEST_BATCH
        self.calls: Counter[str] = Counter()
        """By method."""
        self._lock = Lock()
        self._given_up = False
        self._pushed: PushedHeads | None = None

    def follow_heads(self, on_head: Callable[[], None]) -> None:
        """Have the node push its heads from now on, if it is reached over WebSocket; `on_head` is
        called for each, in another thread."""
        if isinstance(self._provider, WebSocket):

            def pushed(head: Pushed) -> None:
                self.health.reported(head.number)
                on_head()

            self._provider.on_head = pushed
            self._pushed = self._pushed or PushedHeads(
                self._provider, self.call, self.lacks, self.shown
            )

    @property
    def agreed_to_push(self) -> bool:
        return self._pushed is not None and self._pushed.agreed

    @property
    def pushes(self) -> bool:
        """Whether it pushed a head that is still believed."""
        return self._pushed is not None and self._pushed.newest() is not None

    def head(self, at_least: int = 0) -> Any:
        """The latest block: as the node pushed it lately, if its number is `at_least` this, else
        asked for. Raises as `call`, NodeUnreachable also for what is no block."""
        if self._pushed is not None:
            self._pushed.subscribe()
            pushed = self._pushed.newest()
            if pushed is not None and pushed.number >= at_least:
                return pushed.block
        block = self.call("eth_getBlockByNumber", ["latest", False])
        if not isinstance(block, dict):
            raise NodeUnreachable(f"{self.shown} reports no latest block")
        self.health.reported(int(block["number"], 16))
        if self._pushed is not None:
            self._pushed.compare(block)
        return block

    def call(self, method: str, params: Sequence[Any]) -> Any:
        """One call. Raises RpcError if the node refuses it, NodeUnreachable without an answer."""
        answer = self._ask(
            method, [method], lambda: self._provider.make_request(RPCEndpoint(method), list(params))
        )
        if not isinstance(answer, dict):
            raise NodeUnreachable(f"{self.shown} does not speak JSON-RPC")
        try:
            return _result(method, answer)
        except RpcError as error:
            self._note(error)
            raise

    def batch(self, requests: Sequence[Request]) -> list[Any]:
        """Several calls in one round trip where the node takes batches, else one by one.

        A refused call's result is its RpcError. Nodes run the calls of a batch in any order.
        """
        results: list[Any] = []
        while len(results) < len(requests):
            part = requests[len(results) : len(results) + self.largest_batch]
            if len(part) == 1:
                results.append(self._one(*part[0]))
                continue
            try:
                results += self._part(part)
            except RpcError as error:
                if error.fault.kind not in (
                    FaultKind.CAPABILITY,
                    FaultKind.PERMANENT,
                    FaultKind.UNKNOWN,
                ):
                    raise
                self.largest_batch = len(part) // 2
                self.lacks.add(Capability.BATCH)
                log.info("node %s refused %d calls in a batch: %s", self.shown, len(part), error)
        return results

    def read_at(self, reads: Sequence[Request], frame: Frame) -> list[Any]:
        """Reads of the state at a frame's block, given without their last parameter, the block.

        A refused call's result is its RpcError.

        By hash (EIP-1898); at a node that does not know that, by number, and then it is checked
        that the number still is this block's.
        """
        if Capability.BLOCK_HASH not in self.lacks:
            at = {"blockHash": frame.block_hash}
            answers = self.batch([(method, [*params, at]) for method, params in reads])
            if not any(_lacks_block_hash(answer) for answer in answers):
                return answers
            self.lacks.add(Capability.BLOCK_HASH)
            log.info("node %s reads by number: it does not know EIP-1898", self.shown)
        number = hex(frame.block_number)
        *answers, block = self.batch(
            [
                *((method, [*params, number]) for method, params in reads),
                ("eth_getBlockByNumber", [number, False]),
            ]
        )
        if isinstance(block, RpcError):
            raise block
        if block is None or block["hash"] != frame.block_hash:
            raise RpcError(
                "eth_call",
                0,
                f"block {frame.block_number} is no longer {frame.block_hash}",
                None,
                Fault(FaultKind.TRANSIENT),
            )
        return answers

    def give_up(self) -> None:
        """End the calls that are under way, of all threads, and answer no more: what asks gets
        NodeUnreachable. Over IPC a call under way takes its time."""
        self._given_up = True
        self._adapter.cut()
        if isinstance(self._provider, WebSocket):
            self._provider.give_up()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        if isinstance(self._provider, WebSocket):
            self._provider.close()

    def _one(self, method: str, params: Sequence[Any]) -> Any:
        try:
            return self.call(method, params)
        except RpcError as error:
            return error

    def _part(self, part: Sequence[Request]) -> list[Any]:
        """One batch as such; raises RpcError if it is refused as a whole."""
        answers = self._ask(
            BATCH,
            [method for method, _ in part],
            lambda: self._provider.make_batch_request(
                [(RPCEndpoint(method), list(params)) for method, params in part]
            ),
        )
        if isinstance(answers, dict):
            _result(BATCH, answers)
        complete = isinstance(answers, list) and len(answers) == len(part)
        if not complete or any(
            not isinstance(answer, dict) or answer.get("id") is None for answer in answers
        ):
            raise NodeUnreachable(f"{self.shown} did not answer each call of a batch")
        results: list[Any] = []
        for (method, _), answer in zip(part, answers, strict=True):
            try:
                results.append(_result(method, answer))
            except RpcError as error:
                self._note(error)
                if error.fault.capability is Capability.BATCH:
                    raise
                results.append(error)
        return results

    def _ask(self, method: str, counted: Sequence[str], ask: Callable[[], T]) -> T:
        if self._given_up:
            raise NodeUnreachable(
                f"node {self.shown} is not asked any more: this program is stopping"
            )
        self.budget.take(len(counted))
        with self._lock:
            self.calls.update(counted)
        began = time.monotonic()
        try:
            try:
                answer = ask()
            except requests.exceptions.ConnectionError as error:
                if self._given_up or not isinstance(
                    error.args[0], urllib3.exceptions.ProtocolError
                ):
                    raise
                # The node closed an idle connection. Every call may safely be repeated: a
                # transaction sent again is the same signed one.
                answer = ask()
        except (requests.exceptions.HTTPError, InvalidStatus) as error:
            refused = _http(method, error)
            self._note(refused)
            raise refused from None
        # Without the cause, whose text may hold the address with its key.
        except requests.exceptions.JSONDecodeError:
            raise self._unanswered(f"{self.shown} does not speak JSON-RPC") from None
        except (OSError, TimeoutError, ConnectionClosed) as error:
            raise self._unanswered(f"node {self.shown} does not answer: {_cause(error)}") from None
        except Exception as error:  # noqa: BLE001 - whatever a node sends must not end the caller
            raise self._unanswered(
                f"{self.shown} does not speak JSON-RPC ({type(error).__name__})"
            ) from None
        self.health.answered(time.monotonic() - began)
        return answer

    def _unanswered(self, reason: str) -> NodeUnreachable:
        self.health.unanswered += 1
        return NodeUnreachable(reason)

    def _note(self, error: RpcError) -> None:
        """Count a refusal; one that is not in the table is logged with its trace."""
        self.health.refusals[error.fault.kind] += 1
        if error.fault.kind is FaultKind.UNKNOWN:
            log.warning("node %s: unknown refusal: %s", self.shown, error, stack_info=True)


def _shown(endpoint: str) -> str:
    """The address as messages may show it: those of hosted nodes contain a key in path or user."""
    parts = urlsplit(endpoint)
    if parts.scheme in SCHEMES and parts.hostname:
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    if endpoint.startswith("/"):
        return endpoint
    raise SettingsError(
        f"{endpoint!r} is not the address of a node: http(s)://, ws(s):// or the path of a socket"
    )


class _Adapter(HTTPAdapter):
    """One whose connections another thread can cut."""

    def __init__(self) -> None:
        self._made: WeakSet[HTTPConnection] = WeakSet()
        self._is_cut = False
        super().__init__(pool_maxsize=8)

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, **named)

        adapter = self

        def cuttable(kind: Any) -> Any:
            class Cuttable(kind):  # type: ignore[misc]
                def connect(self) -> None:
                    adapter._made.add(self)
                    super().connect()
                    if adapter._is_cut:  # while this connected, so that nobody could cut it yet
                        self.close()
                        raise ConnectionAbortedError("this program is stopping")

            return Cuttable

        class Pool(HTTPConnectionPool):
            ConnectionCls = cuttable(HTTPConnection)

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = cuttable(HTTPSConnection)

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}

    def cut(self) -> None:
        """Whoever waits for an answer, or is just connecting, gets an error; nobody connects any
        more."""
        self._is_cut = True
        for connection in list(self._made):
            with suppress(OSError, AttributeError):  # not connected, or not any more
                connection.sock.shutdown(SHUT_RDWR)


def _session(adapter: HTTPAdapter) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # would read netrc and the environment at every call
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


def _provider(
    endpoint: str, timeout: float, session: requests.Session | None
) -> JSONBaseProvider | WebSocket:
    if session is not None:
        waits = (min(CONNECT_SECONDS, timeout), timeout)
        arguments = {"timeout": waits, "allow_redirects": False}
        return HTTPProvider(
            endpoint, arguments, session=session, exception_retry_configuration=None
        )
    if endpoint.startswith("ws"):
        return WebSocket(endpoint, timeout, min(CONNECT_SECONDS, timeout))
    return IPCProvider(endpoint, timeout=max(1, round(timeout)))


def _http(method: str, error: requests.exceptions.HTTPError | InvalidStatus) -> RpcError:
    """The exception for an HTTP status; gateways put a JSON-RPC error beside it."""
    response = error.response
    content = response.content if isinstance(response, requests.Response) else response.body
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    return http_refusal(method, response.status_code, response.headers, body)


def _cause(error: BaseException) -> str:
    """What the operating system said; never the address."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        reason = getattr(found, "reason", None)
        inner = found.args[0] if found.args and isinstance(found.args[0], Exception) else None
        found = reason if isinstance(reason, Exception) else inner or found.__context__
    return "no answer in time" if "imeout" in type(error).__name__ else type(error).__name__


def _result(method: str, answer: Any) -> Any:
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    raise refusal(method, error if isinstance(error, dict) else {"message": str(error)})


def _lacks_block_hash(answer: Any) -> bool:
    """Whether a refusal may be for the form of the block; a wrong guess costs one more call."""
    if not isinstance(answer, RpcError):
        return False
    return (
        answer.fault.capability is Capability.BLOCK_HASH or answer.fault.kind is FaultKind.PERMANENT
    )
