"""Messages between daemons over HTTP: a `Transport` (retrieval/messages.py).

Addresses come from others' profiles, so requests to them are limited: one fixed path, no redirects,
short timeouts, answers no longer than the longest message. A daemon with a public address contacts
no private ones, whatever their names: nobody can use it to probe machines behind its firewall.
"""

import ipaddress
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlsplit

from fedpact.closing import Closing
from fedpact.errors import RetrievalError
from fedpact.retrieval.messages import (
    LONGEST_MESSAGE,
    Contact,
    Reply,
    Request,
    decode_reply,
    encode,
)
from fedpact.retrieval.untrusted_http import Allowed, Strangers, is_allowed, leads_to_private

log = logging.getLogger(__name__)

MESSAGE_PATH = "/retrieval/message"
OCTETS = "application/octet-stream"
TIMEOUT_SECONDS = 2.0
"""To connect, and for each write and read."""
WHOLE_SECONDS = 6.0
"""For all of that."""
AGAIN_SECONDS = 10.0
"""Until an own name that nobody knew is looked up once more: meanwhile nobody waits for it."""
AT_ONCE = 16
"""Concurrent requests."""


class OwnAddress:
    """A daemon's address as others reach it, and whether it may contact private ones itself.

    It may if it has none, or a private one, also by what its own name leads to on this machine. The
    name is looked up when that is first needed. No answer is not the last word, since a daemon may
    start before its server of names: until there is one, it contacts no private address.
    """

    def __init__(self, url: str) -> None:
        """`url`: empty where there is none."""
        self.url = url.rstrip("/")
        self._private: bool | None = True if not url or is_private(url) else None
        self._again = 0.0
        """Monotonic seconds before which the name is not looked up once more."""

    def is_private(self, seconds: float) -> bool:
        """Whether private addresses may be contacted; waits for a look-up for so long at most."""
        if self._private is None and time.monotonic() >= self._again:
            try:
                self._private = leads_to_private(self.url, min(seconds, TIMEOUT_SECONDS))
            except RetrievalError as error:
                self._again = time.monotonic() + AGAIN_SECONDS
                log.warning(
                    "the own address %s is not known here, so that daemons at private addresses"
                    " are not contacted: %s",
                    self.url,
                    error,
                )
        return bool(self._private)


class HttpTransport(Closing):
    """Sends requests to daemons' endpoints; thread-safe."""

    def __init__(self, own: OwnAddress) -> None:
        self._own = own
        self._http = Strangers(step=TIMEOUT_SECONDS, whole=WHOLE_SECONDS, private=own.is_private)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="asking")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def ask(
        self, asked: Sequence[tuple[Contact, Request]], seconds: float | None = None
    ) -> Sequence[Reply | None]:
        """As `Transport.ask`."""
        if len(asked) == 1 and seconds is None:
            return [self._one(*asked[0])]
        end = None if seconds is None else time.monotonic() + seconds
        replies = [self._pool.submit(self._one, *one) for one in asked]
        return [_by(end, one) for one in replies]

    def _one(self, contact: Contact, request: Request) -> Reply | None:
        if not may_ask(self._own.is_private, contact.endpoint):
            return None
        try:
            url = contact.endpoint.rstrip("/") + MESSAGE_PATH
            return decode_reply(self._http.post(url, encode(request), OCTETS, LONGEST_MESSAGE))
        except (RetrievalError, ValueError) as error:
            log.debug("no reply from %s: %s", contact.endpoint, error)
            return None


def _by(end: float | None, reply: Future[Reply | None]) -> Reply | None:
    """The reply if it is there by `end` (monotonic seconds); else it is no longer asked for."""
    try:
        return reply.result(None if end is None else max(0.0, end - time.monotonic()))
    except TimeoutError:
        reply.cancel()
        return None


def may_ask(private: Allowed, endpoint: str) -> bool:
    """Whether an address from others may be asked. `private`: whether the one who asks has no
    public address itself; only then may it ask private ones. One with a user, a query or a fragment
    is no server's address: paths are added to it. Nor is one that cannot be parsed."""
    if not endpoint.startswith(("http://", "https://")) or set(endpoint) & set("?#@"):
        return False
    try:
        local = is_private(endpoint)
    except ValueError:
        return False
    return not local or is_allowed(private, TIMEOUT_SECONDS)


def is_private(endpoint: str) -> bool:
    """Whether an address names this machine or a private network; host names are not resolved.
    Raises ValueError for one that cannot be parsed."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:  # a host name
        return host == "localhost" or host.endswith((".local", ".internal"))
