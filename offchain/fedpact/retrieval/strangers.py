"""HTTP to addresses that others chose: no redirect, no proxy, an answer of bounded length, and a
deadline for the whole exchange.

A time limit for each read, as HTTP libraries have it, does not end an answer that comes byte by
byte, in its headers or in its body. Here every step gets what is left of the deadline: the look-up
of the name, each of its addresses, each read and write.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import ContextVar
from functools import cache
from http import HTTPStatus
from ssl import SSLContext
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import httpcore

from fedpact.closing import Closing
from fedpact.errors import RetrievalError

_until: ContextVar[float] = ContextVar("_until")
"""Monotonic seconds at which the thread's present exchange has to be over."""

ADDRESSES = 4
"""Of a name that are tried: with more, each would have too little time."""
KEPT = 20
"""Idle connections that are kept: httpcore looks at every one of them at each request."""
KEPT_SECONDS = 5.0
"""For which an idle connection is kept."""


Allowed = bool | Callable[[float], bool]
"""Whether private hosts may be contacted; a function says it within so many seconds, when it is
needed."""


class Strangers(Closing):
    """Connections to servers that nobody vouches for; thread-safe."""

    def __init__(
        self, *, step: float, whole: float, connections: int = 64, private: Allowed = True
    ) -> None:
        """`step`: seconds to look up a name, to connect to one of its addresses, for one write, for
        one read; `whole`: for all of them.
        `private`: whether hosts of this machine and of private networks may be reached, also by
        names that lead there."""
        self._step, self._whole = step, whole
        self._connections, self._private, self._lock = connections, private, Lock()
        self._pool: httpcore.ConnectionPool | None = None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def get(self, url: str, most: int) -> bytes:
        """The content of an answer with status 200, of at most `most` bytes. Raises RetrievalError
        for any other, and for none in time."""
        return self._asked("GET", url, most, b"", "")

    def post(self, url: str, content: bytes, media_type: str, most: int) -> bytes:
        """As `get`."""
        return self._asked("POST", url, most, content, media_type)

    def answer(
        self, method: str, url: str, most: int, content: bytes = b"", media_type: str = ""
    ) -> tuple[int, bytes]:
        """Status and content of any answer; raises RetrievalError where there is none."""
        ends = _until.set(time.monotonic() + self._whole)
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self._step)
        try:
            at = _parsed(url)
            if not at.host:  # it would be this machine
                raise RetrievalError(f"not an address: {url}: it names no host")
            headers: list[tuple[bytes | str, bytes | str]] = [
                ("host", _host(at)),
                ("accept", "*/*"),
            ]
            headers += [("content-length", str(len(content)))]
            headers += [("content-type", media_type)] if media_type else []
            with self._opened().stream(
                method,
                at,
                headers=headers,
                content=content,
                extensions={"timeout": limits},
            ) as answer:
                found = bytearray()
                for part in answer.iter_stream():
                    found += part
                    if len(found) > most:
                        raise RetrievalError(f"the answer of {url} exceeds {most} bytes")
                return answer.status, bytes(found)
        except httpcore.TimeoutException as error:
            raise RetrievalError(f"no whole answer in time: {url}") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise RetrievalError(f"{url}: {str(error) or type(error).__name__}") from error
        except (httpcore.UnsupportedProtocol, ValueError) as error:
            raise RetrievalError(f"not an address: {url}: {error}") from error
        finally:
            _until.reset(ends)

    def _opened(self) -> httpcore.ConnectionPool:
        """Made when it is first needed, since certificates take a megabyte."""
        with self._lock:
            if self._pool is None:
                self._pool = httpcore.ConnectionPool(
                    ssl_context=_tls(),
                    max_connections=self._connections,
                    max_keepalive_connections=KEPT,
                    keepalive_expiry=KEPT_SECONDS,
                    network_backend=_Backend(self._private),
                )
            return self._pool

    def _asked(self, method: str, url: str, most: int, content: bytes, media_type: str) -> bytes:
        status, found = self.answer(method, url, most, content, media_type)
        if status != HTTPStatus.OK:
            raise RetrievalError(f"{url} answered with status {status}")
        return found


def is_allowed(private: Allowed, seconds: float) -> bool:
    """Whether private hosts may be contacted."""
    return private if isinstance(private, bool) else private(seconds)


def leads_to_private(url: str, seconds: float) -> bool:
    """Whether the host of an address is of this machine or of a private network, by number or by
    one of its name's addresses. Raises RetrievalError where none is known within `seconds`."""
    host = urlsplit(url).hostname or ""
    try:
        found = _addresses(host, 0, seconds)
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise RetrievalError(f"{host}: {error}") from error
    return any(not ipaddress.ip_address(one).is_global for one in found)


def _parsed(url: str) -> httpcore.URL:
    """Raises ValueError. A host name beyond ASCII is taken in its IDNA form (RFC 3490)."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(
        scheme=parts.scheme.encode("ascii"),
        host=(parts.hostname or "").encode("idna"),
        port=parts.port,
        target=target.encode("ascii"),
    )


def _host(at: httpcore.URL) -> bytes:
    """As the header `Host` has it (RFC 9110, section 7.2)."""
    name = b"[%b]" % at.host if b":" in at.host else at.host
    return name if at.port is None else b"%b:%d" % (name, at.port)


class _Stream(httpcore.NetworkStream):
    """A connection whose steps end with the exchange's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Not the stream's own write, which gives the whole time to each part that the peer takes.
        connected: socket.socket = self._stream.get_extra_info("socket")
        left = memoryview(buffer)
        while left:
            connected.settimeout(_left(timeout, httpcore.WriteTimeout))
            try:
                left = left[connected.send(left) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, private: Allowed) -> None:
        self._private = private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        found = _addresses(host, port, _left(timeout, httpcore.ConnectTimeout))
        usable = [one for one in found if ipaddress.ip_address(one).is_global]
        if len(usable) < len(found) and is_allowed(
            self._private, _left(timeout, httpcore.ConnectTimeout)
        ):
            usable = found
        failed: Exception = httpcore.ConnectError(f"{host} has no public address")
        tried = usable[:ADDRESSES]
        for waiting, address in zip(range(len(tried), 0, -1), tried, strict=True):
            left = _left(None, httpcore.ConnectTimeout) / waiting
            seconds = left if timeout is None else min(left, timeout)
            try:  # What is connected to is what was looked at: an address is not looked up again.
                return _Stream(
                    super().connect_tcp(address, port, seconds, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """Of a host, each once, in the order of the system; in a thread of its own, since the system's
    look-up has a time limit of its own. Raises ConnectError, ConnectTimeout."""
    answer: Future[list[str]] = Future()

    def look() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(one[4][0]) for one in found)))
        except (OSError, ValueError) as error:
            answer.set_exception(error)

    try:
        ipaddress.ip_address(host)
    except ValueError:
        Thread(target=look, name="looking-up", daemon=True).start()
    else:
        return [host]
    try:
        return answer.result(seconds)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(f"nobody says in time which address {host} has") from error
    except (OSError, ValueError) as error:
        raise httpcore.ConnectError(str(error)) from error


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
    """Seconds that a step may take; raises `late` where none are left."""
    left = _until.get() - time.monotonic()
    if left <= 0:
        raise late("the deadline has passed")
    return left if timeout is None else min(left, timeout)


@cache
def _tls() -> SSLContext:
    """Shared: each copy takes some 20 ms and a megabyte."""
    return httpcore.default_ssl_context()
