"""Who stays out of a request, and why, as providers' daemons say at their endpoints.

Their addresses are in published profiles, and in the records with which they joined other requests;
a daemon with neither, or with no endpoint, cannot be heard. What they say is shown and decides
nothing, so that nobody waits for it: a thread of its own reads the addresses.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

from fedpact.chain.bindings.binding import Binding
from fedpact.chain.client import ChainClient
from fedpact.chain.recent_logs import events_in, logs_backwards
from fedpact.closing import Closing
from fedpact.content.store import ContentStore
from fedpact.errors import ContentUnavailable, FedpactError, RetrievalError, Retryable
from fedpact.exchange.declines import LONGEST_DECLINE, Decline, checked
from fedpact.exchange.peer_address import endpoint_in
from fedpact.retrieval.http import may_ask
from fedpact.retrieval.profiles.document import LONGEST_DOCUMENT, Profile
from fedpact.retrieval.untrusted_http import Strangers
from fedpact.types.cid import Cid

T = TypeVar("T")

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
"""Between two questions to one daemon that has not declined, and between two tries to read what a
node or a store did not give."""
TIMEOUT_SECONDS = 2.0
"""To connect, and for each write and read; all of them may take twice as long."""
READING_SECONDS = 10.0
"""Seconds for which `everybody` waits for the addresses of daemons."""
AT_ONCE = 8
NEWEST = 64
"""Accounts of either kind whose addresses are read: the latest profiles and the latest to join."""
QUERIES = 64
"""Queries of logs for either kind."""
TRIES = 3
"""Reads of a document that the store does not have."""


@dataclass(frozen=True)
class _Said:
    """A document that may hold the address of an account's daemon."""

    account: str
    """Hex, lower case."""
    digest: bytes
    profile: bool
    """Whether it is a profile, not a record of joining."""


class Declines(Closing):
    """Of one request. Use it from one thread."""

    def __init__(
        self,
        client: ChainClient,
        store: ContentStore,
        request: int,
        *,
        private: bool = True,
        again: float = AGAIN_SECONDS,
    ) -> None:
        """`private`: whether to ask addresses of this machine and of private networks. `again`:
        seconds between two questions to one daemon."""
        self._client, self._store, self.request = client, store, request
        self._path = f"/exchange/{client.deployment.fingerprint.hex()}/{request}/decline"
        self._private, self._again = private, again
        self._declines: dict[str, Decline] = {}
        self._addresses: dict[str, str] = {}
        self._asked: dict[str, float] = {}
        self._answers: dict[str, Future[Decline | None]] = {}
        self._http = Strangers(step=TIMEOUT_SECONDS, whole=2 * TIMEOUT_SECONDS, private=private)
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="declines")
        self._found: SimpleQueue[tuple[str, str]] = SimpleQueue()
        """Accounts and addresses, as the reader finds them."""
        self._stop, self._read_all = Event(), Event()
        self._reader: Thread | None = None

    def close(self) -> None:
        """Waits for the answers under way, which have a deadline, and as long for the reader: it
        ends with what it has asked a node or store for."""
        self._stop.set()
        self._workers.shutdown(wait=True, cancel_futures=True)
        self._http.close()
        if self._reader is not None:
            self._reader.join(2 * TIMEOUT_SECONDS)

    def look(self) -> None:
        """Take what was found and answered, and ask who has not declined; waits for nobody."""
        if self._reader is None:
            self._reader = Thread(target=self._read, name="addresses", daemon=True)
            self._reader.start()
        while True:
            try:
                account, address = self._found.get_nowait()
            except Empty:
                break
            self._addresses[account] = address
        for account in [one for one, answer in self._answers.items() if answer.done()]:
            decline = self._answers.pop(account).result()
            if decline is not None:
                self._declines[account] = decline
        now = time.monotonic()
        for account, address in self._addresses.items():
            due = now - self._asked.get(account, -self._again) >= self._again
            if due and account not in {*self._declines, *self._answers}:
                self._asked[account] = now
                self._answers[account] = self._workers.submit(self._ask, account, address)

    def everybody(self) -> dict[str, int]:
        """Providers by their reason: those whose addresses were found, and who answered, within the
        seconds that both may take."""
        self.look()
        self._read_all.wait(READING_SECONDS)
        self.look()
        wait(self._answers.values(), timeout=2 * TIMEOUT_SECONDS)
        self.look()
        return self.counted

    @property
    def counted(self) -> dict[str, int]:
        """Providers by their reason, the most frequent first."""
        counts = Counter(one.reason.value for one in self._declines.values())
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    def _ask(self, account: str, address: str) -> Decline | None:
        try:
            content = self._http.get(address + self._path, LONGEST_DECLINE)
            domain, wallets = self._client.any_rounds.domain, self._client.wallets
            return checked(content, domain, self.request, account, wallets)
        except RetrievalError as error:
            log.debug("no decline from %s: %s", address, error)
            return None

    # ------------------------------------------------------------------ the reader's thread

    def _read(self) -> None:
        try:
            with closing(self._store.another()) as store:
                said = [*self._tried(self._joined), *self._tried(self._profiles)]
                known: set[str] = set()
                for _ in range(TRIES):
                    said = [one for one in said if not self._heard(store, one, known)]
                    self._read_all.set()
                    if not said or self._stop.wait(AGAIN_SECONDS):
                        return
        except Exception:  # Nobody waits for the result.
            if not self._stop.is_set():  # else node and store may be closed
                log.exception("request %d: its declines cannot be read", self.request)
        finally:
            self._read_all.set()

    def _tried(self, read: Callable[[], list[T]]) -> list[T]:
        """Until node and store answer, or nobody wants it any more."""
        while not self._stop.is_set():
            try:
                return read()
            except Retryable as error:
                log.debug(
                    "request %d: the accounts that may decline it cannot be read: %s",
                    self.request,
                    error,
                )
                self._stop.wait(AGAIN_SECONDS)
        return []

    def _heard(self, store: ContentStore, said: _Said, known: set[str]) -> bool:
        """Whether a document is dealt with: its address read, or not wanted."""
        if said.account in known or self._stop.is_set():
            return True
        try:
            address = self._address(store, said)
        except ContentUnavailable as error:
            log.debug("the address of %s: %s", said.account, error)
            return False
        except FedpactError as error:  # Whoever is registered chooses what is found there.
            log.debug("the address of %s: %s", said.account, error)
            return True
        if may_ask(self._private, address):
            known.add(said.account)
            self._found.put((said.account, address.rstrip("/")))
        return True

    def _address(self, store: ContentStore, said: _Said) -> str:
        if not said.profile:
            return endpoint_in(store.get, said.digest)
        content = store.get(Cid.of_digest(said.digest, LONGEST_DOCUMENT), LONGEST_DOCUMENT)
        return Profile.decode(bytes.fromhex(said.account[2:]), content).details.endpoint

    def _joined(self) -> list[_Said]:
        """The records with which the latest accounts joined other requests."""
        pool = self._client.pool
        return _newest(
            _Said(str(one["provider"]).lower(), bytes(one["attributes"]), False)
            for one in self._latest(pool, [pool.event_topic("Joined")])
            if one["request"] != self.request
        )

    def _profiles(self) -> list[_Said]:
        """Of the accounts that published theirs last and are active."""
        registry = self._client.registry
        changed = _newest(
            _Said(str(one["account"]).lower(), bytes(one["profile"]), True)
            for one in self._latest(registry, [])
            if "profile" in one
        )
        return [
            one
            for one in changed
            if not self._stop.is_set() and registry.participant(one.account).active
        ]

    def _latest(self, contract: Binding, topics: list[str | None]) -> Iterator[dict[str, Any]]:
        """The arguments of a contract's events, the last first."""
        newest, start = self._client.frame().block_number, self._client.deployment.block
        logs = logs_backwards(
            *(self._client, newest, start),
            address=contract.address,
            topics=topics,
            queries=QUERIES,
            stop=self._stop,
        )
        for event in events_in(self._client, logs):
            yield event.args


def _newest(said: Iterable[_Said]) -> list[_Said]:
    """The last word of each of the latest accounts that have one; `said`: the last first."""
    found: dict[str, _Said] = {}
    for one in said:
        found.setdefault(one.account, one)
        if len(found) == NEWEST:
            break
    return [one for one in found.values() if any(one.digest)]
