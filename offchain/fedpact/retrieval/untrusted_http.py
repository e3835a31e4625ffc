"""HTTP to addresses that others chose: no redirect, no proxy, an answer of bounded length, and a
deadline for the whole exchange.

A time limit for each read, as HTTP libraries have it, does not end an answer that comes byte by
byte, in its headers or in its body. Here every step gets what is left of the deadline: the look-up
of the name, each of its addresses, each read and write.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fedpact.closing import Closing
from fedpact.errors import RetrievalError

if TYPE_CHECKING:
    from httpcore import ConnectionPool

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
        self._pool: ConnectionPool | None = None

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
        import httpcore

        from fedpact.retrieval.deadlines import host_header, parsed, until

        ends = until.set(time.monotonic() + self._whole)
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self._step)
        try:
            at = parsed(url)
            if not at.host:  # it would be this machine
                raise RetrievalError(f"not an address: {url}: it names no host")
            headers: list[tuple[bytes | str, bytes | str]] = [
                ("host", host_header(at)),
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
            until.reset(ends)

    def _opened(self) -> ConnectionPool:
        """Made when it is first needed, since certificates take a megabyte."""
        from fedpact.retrieval import deadlines

        with self._lock:
            if self._pool is None:
                self._pool = deadlines.pool(self._connections, partial(is_allowed, self._private))
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
    import httpcore

    from fedpact.retrieval.deadlines import addresses

    host = urlsplit(url).hostname or ""
    try:
        found = addresses(host, 0, seconds)
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise RetrievalError(f"{host}: {error}") from error
    return any(not ipaddress.ip_address(one).is_global for one in found)
