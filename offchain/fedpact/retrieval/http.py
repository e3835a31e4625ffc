"""Messages between daemons over HTTP: a `Transport` (retrieval/messages.py).

Addresses come from others' profiles, so requests to them are limited: one fixed path, no redirects,
short timeouts, answers no longer than the longest message. A daemon with a public address contacts
no private ones, whatever their names: nobody can use it to probe machines behind its firewall.
"""

import ipaddress
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from fedpact.retrieval.strangers import Strangers, leads_to_private

log = logging.getLogger(__name__)

MESSAGE_PATH = "/retrieval/message"
OCTETS = "application/octet-stream"
TIMEOUT_SECONDS = 2.0
"""To connect, and for each write and read."""
WHOLE_SECONDS = 6.0
"""For all of that."""
AT_ONCE = 16
"""Concurrent requests."""


class HttpTransport(Closing):
    """Sends requests to daemons' endpoints; thread-safe.

    own: this daemon's address as others reach it; empty for a requester without one.
    """

    def __init__(self, own: str = "") -> None:
        self._private = not own or is_private(own)
        self._http = Strangers(
            step=TIMEOUT_SECONDS, whole=WHOLE_SECONDS, private=may_reach_private(own)
        )
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="asking")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def ask(self, asked: Sequence[tuple[Contact, Request]]) -> Sequence[Reply | None]:
        """A reply for each; None if it came too late or was no valid message."""
        if len(asked) == 1:
            return [self._one(*asked[0])]
        return list(self._pool.map(lambda one: self._one(*one), asked))

    def _one(self, contact: Contact, request: Request) -> Reply | None:
        if not may_ask(self._private, contact.endpoint):
            return None
        try:
            url = contact.endpoint.rstrip("/") + MESSAGE_PATH
            return decode_reply(self._http.post(url, encode(request), OCTETS, LONGEST_MESSAGE))
        except (RetrievalError, ValueError) as error:
            log.debug("no reply from %s: %s", contact.endpoint, error)
            return None


def may_ask(private: bool, endpoint: str) -> bool:
    """Whether an address from others may be asked. `private`: whether the one who asks has no
    public address itself; only then may it ask private ones. One with a user, a query or a fragment
    is no server's address: paths are added to it."""
    if not endpoint.startswith(("http://", "https://")) or set(endpoint) & set("?#@"):
        return False
    return private or not is_private(endpoint)


def may_reach_private(own: str) -> bool:
    """Whether a daemon with this address may be led to private ones by a name: it has no address,
    or one that is private itself, also by what its own name leads to on this machine."""
    return not own or leads_to_private(own, TIMEOUT_SECONDS)


def is_private(endpoint: str) -> bool:
    """Whether an address names this machine or a private network; host names are not resolved."""
    try:
        host = urlsplit(endpoint).hostname or ""
        return not ipaddress.ip_address(host).is_global
    except ValueError:  # a host name
        return host == "localhost" or host.endswith((".local", ".internal"))
