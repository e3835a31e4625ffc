"""Connections of httpcore whose every step ends with the deadline of the whole exchange.

Apart from `untrusted_http`, since httpcore takes some megabytes of memory: a daemon that has asked
nobody goes without.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import ContextVar
from functools import cache
from ssl import SSLContext
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpcore

until: ContextVar[float] = ContextVar("until")
"""Monotonic seconds at which the thread's present exchange has to be over."""

ADDRESSES = 4
"""Of a name that are tried: with more, each would have too little time."""
KEPT = 20
"""Idle connections that are kept: httpcore looks at every one of them at each request."""
KEPT_SECONDS = 5.0
"""Seconds for which an idle connection is kept."""


def pool(connections: int, private: Callable[[float], bool]) -> httpcore.ConnectionPool:
    """`connections`: at most; `private`: whether private hosts may be reached, said
    within so many seconds, when it is needed."""
    return httpcore.ConnectionPool(
        ssl_context=_tls(),
        max_connections=connections,
        max_keepalive_connections=KEPT,
        keepalive_expiry=KEPT_SECONDS,
        network_backend=_Backend(private),
    )


def parsed(url: str) -> httpcore.URL:
    """Raises ValueError. A host name beyond ASCII is taken in its IDNA form (RFC 3490)."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(
        scheme=parts.scheme.encode("ascii"),
        host=(parts.hostname or "").encode("idna"),
        port=parts.port,
        target=target.encode("ascii"),
    )


def host_header(at: httpcore.URL) -> bytes:
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
    def __init__(self, private: Callable[[float], bool]) -> None:
        self._private = private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        found = addresses(host, port, _left(timeout, httpcore.ConnectTimeout))
        usable = [one for one in found if ipaddress.ip_address(one).is_global]
        if len(usable) < len(found) and self._private(_left(timeout, httpcore.ConnectTimeout)):
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


def addresses(host: str, port: int, seconds: float) -> list[str]:
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
    left = until.get() - time.monotonic()
    if left <= 0:
        raise late("the deadline has passed")
    return left if timeout is None else min(left, timeout)


@cache
def _tls() -> SSLContext:
    """Shared: each copy takes some 20 ms and a megabyte."""
    return httpcore.default_ssl_context()
