"""Client of an IPFS node: a content store behind the Kubo RPC API (/api/v0).

https://docs.ipfs.tech/reference/kubo/rpc/
"""

import json
from collections.abc import Callable, Generator
from functools import cache, partial
from ssl import SSLContext
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from fedpact.content.credentials import Credential
from fedpact.content.integrity import verify
from fedpact.errors import (
    ContentMismatch,
    ContentMissing,
    ContentTooLarge,
    FedpactError,
    StoreUnreachable,
)
from fedpact.types.cid import CHUNK_BYTES, Cid
from fedpact.types.urls import without_credentials

Parameters = dict[str, str | int]

CONNECT_SECONDS = 5.0
MESSAGE_CHARACTERS = 300
LOOKING = frozenset({"cat", "pin/add"})
"""Commands for which a node asks others: one that says nothing is still looking."""


class IpfsStore:
    """ContentStore on the node at `url` (scheme, host and port), which may ask for a credential.
    User and password may also stand in the URL; no message shows either.

    `timeout` in seconds is how long the node may be silent, hence how long it may look for content.
    Only connection failures are retried, up to `attempts` attempts in all; a refusal is final.
    """

    def __init__(
        self,
        url: str,
        timeout: float = 30.0,
        *,
        attempts: int = 3,
        credential: Credential | None = None,
    ) -> None:
        self._again = partial(IpfsStore, url, timeout, attempts=attempts, credential=credential)
        self._url = without_credentials(url.rstrip("/"))
        self._timeout = timeout
        # The node is mostly on this machine: ignore proxies from the environment.
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v0",
            auth=_auth(credential),
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
            verify=_tls(),
            trust_env=False,
        )
        self._retrying = Retrying(
            retry=retry_if_exception(_worth_another_try),
            stop=stop_after_attempt(attempts),
            wait=wait_exponential(multiplier=0.1, max=2.0),
            reraise=True,
        )

    def check(self) -> None:
        self._call("version", {})

    def put(self, data: bytes) -> Cid:
        cid = Cid.of(data)
        parameters: Parameters = {
            "cid-version": 1,
            "raw-leaves": "true",
            "chunker": f"size-{CHUNK_BYTES}",
            "pin": "true",
            "progress": "false",
        }
        answer = self._call("add", parameters, content=data)
        given = _last_object(answer).get("Hash")
        if given != str(cid):
            raise ContentMismatch(
                f"the IPFS node {self._url} stored {cid} as {given}: it must build balanced trees "
                "of 174 links over chunks of 256 KiB"
            )
        return cid

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        parameters: Parameters = {"arg": str(cid), "length": max_bytes + 1}
        data = self._retry("cat", parameters, lambda: self._cat(cid, parameters, max_bytes))
        verify(cid, data)
        return data

    def has(self, cid: Cid) -> bool:
        parameters: Parameters = {"arg": f"/ipfs/{cid}", "with-local": "true", "offline": "true"}
        # Offline for this call, a node cannot resolve a root that it does not hold.
        try:
            answer = self._call("files/stat", parameters)
        except ContentMissing:
            return False
        return bool(_last_object(answer).get("Local"))

    def pin(self, cid: Cid) -> None:
        self._call("pin/add", {"arg": str(cid)})

    def unpin(self, cid: Cid) -> None:
        try:
            self._call("pin/rm", {"arg": str(cid)})
        except ContentMissing as error:
            if "not pinned" not in str(error):
                raise

    def collect_garbage(self) -> int:
        return sum(1 for line in self._call("repo/gc", {}).splitlines() if b'"Key"' in line)

    def size(self) -> int:
        return int(_last_object(self._call("repo/stat", {"size-only": "true"})).get("RepoSize", 0))

    def another(self) -> "IpfsStore":
        return self._again()

    def close(self) -> None:
        self._client.close()

    def _call(self, command: str, parameters: Parameters, *, content: bytes | None = None) -> bytes:
        files = None if content is None else {"file": ("content", content)}

        def exchange() -> bytes:
            response = self._client.post(command, params=parameters, files=files)
            if response.is_error:
                raise self._refusal(command, parameters, response)
            return response.content

        return self._retry(command, parameters, exchange)

    def _cat(self, cid: Cid, parameters: Parameters, max_bytes: int) -> bytes:
        with self._client.stream("POST", "cat", params=parameters) as response:
            if response.is_error:
                response.read()
                raise self._refusal("cat", parameters, response)
            data = bytearray()
            for part in response.iter_raw():
                data += part
                if len(data) > max_bytes:
                    raise ContentTooLarge(f"{cid} has more than the {max_bytes} bytes allowed")
        return bytes(data)

    def _retry(self, command: str, parameters: Parameters, exchange: Callable[[], bytes]) -> bytes:
        try:
            return self._retrying(exchange)
        except httpx.TransportError as error:
            if isinstance(error, httpx.ReadTimeout) and command in LOOKING:
                raise ContentMissing(
                    f"{parameters['arg']}: the IPFS node {self._url} found nothing in "
                    f"{self._timeout:g} s"
                ) from error
            reason = str(error) or type(error).__name__
            raise StoreUnreachable(
                f"no answer from the IPFS node {self._url} to {command}: "
                f"{without_credentials(reason)}"
            ) from error

    def _refusal(
        self, command: str, parameters: Parameters, response: httpx.Response
    ) -> FedpactError:
        message = _message(response)
        what = f"the IPFS node {self._url} refused {command}: {message}"
        if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return ContentTooLarge(what)
        # Kubo answers 500 to whatever it cannot do; with a CID that mostly means it is unavailable.
        if response.status_code == httpx.codes.INTERNAL_SERVER_ERROR and "arg" in parameters:
            return ContentMissing(f"{parameters['arg']}: {what}")
        return StoreUnreachable(f"{what} (HTTP {response.status_code})")


@cache
def _tls() -> SSLContext:
    """One for all: each takes some 25 ms and a megabyte, and a daemon fetches each item with a
    store of its own."""
    return httpx.create_ssl_context(trust_env=False)


def _auth(credential: Credential | None) -> httpx.Auth | None:
    """None leaves it to the URL."""
    if credential is None:
        return None
    if credential.token is not None:
        return _Bearer(credential.token.get_secret_value())
    assert credential.user is not None
    assert credential.password is not None
    return httpx.BasicAuth(credential.user, credential.password.get_secret_value())


class _Bearer(httpx.Auth):
    """A bearer token (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _worth_another_try(error: BaseException) -> bool:
    """A silent node is still looking; one that drops the connection may be restarting."""
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ReadTimeout)


def _message(response: httpx.Response) -> str:
    try:
        text = str(response.json()["Message"])
    except (ValueError, KeyError, TypeError):
        text = response.text
    return text.strip()[:MESSAGE_CHARACTERS]


def _last_object(answer: bytes) -> dict[str, Any]:
    """The last of the JSON objects in an answer, one per line."""
    try:
        value = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise StoreUnreachable("the IPFS node's answer is not JSON: is it a Kubo RPC?") from error
    return value if isinstance(value, dict) else {}
