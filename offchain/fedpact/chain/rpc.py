"""JSON-RPC to an Ethereum node over HTTP, with persistent connections; thread-safe."""

import json
from collections.abc import Sequence
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import urllib3

from fedpact.errors import FedpactError, NodeUnreachable, SettingsError

Request = tuple[str, Sequence[Any]]
"""Method and parameters."""

_HEADERS = {"Content-Type": "application/json"}
_OVERLOADED = (429, 502, 503, 504)


class RpcError(FedpactError):
    """The node refused a call; `data` is what a reverted call returned."""

    def __init__(self, method: str, code: int, message: str, data: bytes | None) -> None:
        self.method = method
        self.code = code
        self.message = message
        self.data = data
        super().__init__(f"{method}: the node refused: {message} (code {code})")


class Rpc:
    """One node. `timeout` is in seconds, for connecting and for each answer."""

    def __init__(self, endpoint: str, timeout: float = 10.0) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{endpoint!r} is not the http(s):// address of a node")
        self.endpoint = endpoint
        # URLs of hosted nodes contain a key in path or user: show only the host.
        port = f":{parts.port}" if parts.port else ""
        self.shown = f"{parts.scheme}://{parts.hostname}{port}"
        headers = dict(_HEADERS)
        if parts.username:
            login = f"{parts.username}:{parts.password or ''}"
            headers |= urllib3.make_headers(basic_auth=login)
            endpoint = endpoint.replace(f"{parts.netloc}", parts.netloc.rpartition("@")[2], 1)
        self._url = endpoint
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=4, headers=headers, timeout=timeout, retries=False
        )
        self._ids = count(1)

    def call(self, method: str, *params: Any) -> Any:
        """One call; raises RpcError if the node refuses it, NodeUnreachable without an answer."""
        answer = self._post(self._message(method, params))
        if not isinstance(answer, dict):
            raise NodeUnreachable(f"{self.shown} does not speak JSON-RPC")
        return _result(method, answer)

    def batch(self, requests: Sequence[Request]) -> list[Any]:
        """Several calls in one round trip; a refused call's result is its RpcError.

        Nodes run the calls of a batch in any order.
        """
        messages = [self._message(method, params) for method, params in requests]
        answers = self._post(messages)
        if isinstance(answers, dict):  # the batch as a whole was refused
            _result("batch", answers)
        by_id = {answer["id"]: answer for answer in answers}
        results: list[Any] = []
        for (method, _), message in zip(requests, messages, strict=True):
            try:
                results.append(_result(method, by_id[message["id"]]))
            except RpcError as error:
                results.append(error)
            except KeyError as error:
                raise NodeUnreachable(f"{self.shown} did not answer {method}") from error
        return results

    def close(self) -> None:
        self._pool.clear()

    def _message(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    def _post(self, message: Any) -> Any:
        body = json.dumps(message).encode()
        try:
            try:
                response = self._pool.request("POST", self._url, body=body)
            except urllib3.exceptions.ProtocolError:
                # The node closed an idle connection. Every call may safely be repeated: a
                # transaction sent again is the same signed one.
                response = self._pool.request("POST", self._url, body=body)
        except urllib3.exceptions.HTTPError as error:
            raise NodeUnreachable(f"node {self.shown} does not answer: {_cause(error)}") from error
        if response.status in _OVERLOADED:
            raise NodeUnreachable(f"node {self.shown} answers with HTTP status {response.status}")
        try:
            return json.loads(response.data)
        except ValueError as error:
            raise NodeUnreachable(
                f"{self.shown} does not speak JSON-RPC (HTTP status {response.status})"
            ) from error


def _cause(error: urllib3.exceptions.HTTPError) -> str:
    """The last part of urllib3's message: what the operating system said."""
    return str(error).rpartition(": ")[2] or type(error).__name__


def _result(method: str, answer: dict[str, Any]) -> Any:
    if "error" not in answer:
        return answer.get("result")
    error = answer["error"]
    data = error.get("data")
    if isinstance(data, dict):  # some nodes wrap it twice
        data = data.get("data") or data.get("result")
    returned = None
    if isinstance(data, str) and data.startswith("0x"):
        returned = bytes.fromhex(data[2:])
    raise RpcError(method, error.get("code", 0), str(error.get("message", "")), returned)
