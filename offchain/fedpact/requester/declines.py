"""Who stays out of a request, and why, as providers' daemons say at their endpoints.

Their addresses are in published profiles, and in the records with which they joined earlier
requests; a daemon with neither, or with no endpoint, cannot be heard. What they say is shown and
decides nothing.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor, wait

from fedpact.chain.bindings.events import Joined
from fedpact.chain.client import ChainClient
from fedpact.closing import Closing
from fedpact.content.store import ContentStore
from fedpact.errors import FedpactError, RetrievalError
from fedpact.exchange.declines import LONGEST_DECLINE, Decline, checked
from fedpact.exchange.peers import endpoint_in
from fedpact.requester.look import RequestLog
from fedpact.retrieval.directory import ProfileDirectory
from fedpact.retrieval.http import may_ask
from fedpact.retrieval.profiles.document import LONGEST_DOCUMENT, Profile
from fedpact.retrieval.strangers import Strangers
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
"""Between two questions to one daemon that has not declined."""
TIMEOUT_SECONDS = 2.0
"""To connect, and for each write and read; all of them may take twice as long."""
AT_ONCE = 8
PROFILES = 64
"""Newest profiles that are read."""
REQUESTS = 20
"""Earlier requests whose members are asked."""


class Declines(Closing):
    """Of one request. Use it from one thread; `look` waits for no daemon."""

    def __init__(self, client: ChainClient, store: ContentStore, request: int) -> None:
        self._client, self._store, self.request = client, store, request
        self._path = f"/exchange/{client.deployment.fingerprint.hex()}/{request}/decline"
        self._found: dict[str, Decline] = {}
        self._addresses: dict[str, str] = {}
        self._asked: dict[str, float] = {}
        self._answers: dict[str, Future[Decline | None]] = {}
        self._unread: deque[tuple[str, bytes, bool]] | None = None
        self._http = Strangers(step=TIMEOUT_SECONDS, whole=2 * TIMEOUT_SECONDS)
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="declines")

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def look(self) -> None:
        """Take what was answered, ask who has not declined, and read one more address at most.
        Raises Retryable while the chain fails."""
        self._read_next()
        self._collect()
        now = time.monotonic()
        for account, address in self._addresses.items():
            due = now - self._asked.get(account, -AGAIN_SECONDS) >= AGAIN_SECONDS
            if due and account not in {*self._found, *self._answers}:
                self._asked[account] = now
                self._answers[account] = self._workers.submit(self._ask, account, address)

    def everybody(self) -> dict[str, int]:
        """Providers by their reason, once every known daemon has had its time to answer."""
        self.look()
        while self._unread:
            self.look()
        wait(self._answers.values(), timeout=2 * TIMEOUT_SECONDS)
        self._collect()
        return self.counted

    @property
    def counted(self) -> dict[str, int]:
        """Providers by their reason, the most frequent first."""
        counts = Counter(one.reason.value for one in self._found.values())
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    def _collect(self) -> None:
        for account in [one for one, answer in self._answers.items() if answer.done()]:
            found = self._answers.pop(account).result()
            if found is not None:
                self._found[account] = found

    def _read_next(self) -> None:
        """Read one account's address; at the first call, which accounts there are."""
        if self._unread is None:
            self._unread = deque([*self._members(), *self._profiles()])
        while self._unread:
            account, digest, is_profile = self._unread.popleft()
            if account in self._addresses:
                continue
            try:
                address = self._profile(account, digest) if is_profile else self._record(digest)
            except FedpactError as error:  # Whoever is registered chooses what is found there.
                log.debug("the address of %s: %s", account, error)
                return
            if may_ask(True, address):
                self._addresses[account] = address.rstrip("/")
            return

    def _profiles(self) -> list[tuple[str, bytes, bool]]:
        directory = ProfileDirectory(self._client)
        directory.refresh()
        nodes = directory.newest(PROFILES)
        entries = [(node, directory.entry(node)) for node in nodes]
        return [("0x" + node.hex(), one.digest, True) for node, one in entries if one is not None]

    def _members(self) -> list[tuple[str, bytes, bool]]:
        """Of the requests before this one, the latest first."""
        frame, found = self._client.frame(), list[tuple[str, bytes, bool]]()
        for number in range(self.request - 1, max(0, self.request - 1 - REQUESTS), -1):
            for event in RequestLog(self._client, number).up_to(frame):
                if isinstance(event, Joined):
                    found.append((event.provider.lower(), event.attributes, False))
        return found

    def _profile(self, account: str, digest: bytes) -> str:
        content = self._store.get(Cid.of_digest(digest, LONGEST_DOCUMENT), LONGEST_DOCUMENT)
        return Profile.decode(bytes.fromhex(account[2:]), content).details.endpoint

    def _record(self, digest: bytes) -> str:
        return endpoint_in(self._store, digest)

    def _ask(self, account: str, address: str) -> Decline | None:
        try:
            content = self._http.get(address + self._path, LONGEST_DECLINE)
            found = checked(content, self._client.rounds.domain, self.request)
        except RetrievalError as error:
            log.debug("no decline from %s: %s", address, error)
            return None
        return found if found.account.lower() == account else None
