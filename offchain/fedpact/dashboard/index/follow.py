"""Keeps the index up with the chain, and fetches what events do not tell."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fedpact.chain.client import ChainClient
from fedpact.chain.scanner import EventScanner
from fedpact.closing import Closing
from fedpact.content.store import ContentStore
from fedpact.dashboard.index.asking import Answer, Asker, Wanted
from fedpact.dashboard.index.tables import Identity, IndexFile
from fedpact.dashboard.index.transactions import SentReader, block_times
from fedpact.dashboard.index.writing import IndexWriter
from fedpact.dashboard.story import ClosedPool
from fedpact.errors import FedpactError, Retryable, StateDamaged
from fedpact.types.specification import SPECIFICATION_MAX_BYTES

log = logging.getLogger(__name__)

OVERLAP = 2
"""Blocks that are read again: a node's index of logs may be behind its head."""
TRANSACTIONS_AT_ONCE = 200
CONTENTS_AT_ONCE = 20
FIRST_RETRY_SECONDS = 15
LAST_RETRY_SECONDS = 3_600
"""Content that was missing is asked for again after the first, then after twice as long each time
up to the last."""
SHORTEST_STORE_PAUSE = 1.0
"""After content that was missing nothing is asked for, twice as long each time in a row."""
MOST_ACCOUNTS = 200
"""That a change names."""
STORE_PATIENCE = 0.2
"""For which a step waits for the content store: what is quick is on the page at once."""
LONGEST_PAUSE = 30.0
"""After a fault of our own."""
LONGEST_NODE_PAUSE = 5.0
"""Between two questions to nodes that refuse."""


@dataclass(frozen=True)
class Change:
    """What a step has found."""

    block: int
    time: int
    requests: frozenset[int]
    """Those about which something new is known."""
    others: bool = False
    """Whether something became known that belongs to no request, or of more accounts than are
    named."""
    accounts: frozenset[str] = frozenset()
    """Those about which something new is known."""
    behind: bool = False
    """Whether the chain cannot be followed now: what is shown may be old."""


class Follower(Closing):
    """Writes the index of a deployment; for one thread. The content store is
    asked in another one."""

    def __init__(
        self,
        client: ChainClient,
        store: ContentStore,
        file: IndexFile,
        confirmations: int = 0,
    ) -> None:
        self._client = client
        self._asker = Asker(store, SPECIFICATION_MAX_BYTES)
        self._writer = IndexWriter(file)
        self._confirmations = confirmations
        self._distrusted: Identity | None = None
        self._scanner = self._scan()
        self._sent = SentReader(client)
        self._touched: set[int] = set()
        self._accounts: set[str] = set()
        self._others = False
        self._told, self._head, self._behind = 0, (0, 0), False
        self._store_pause, self._store_due = SHORTEST_STORE_PAUSE, 0.0

    def close(self) -> None:
        self._asker.close()

    def distrust(self, file: Identity | None) -> None:
        """A reader has found this file damaged: the next step makes it again, unless it has been
        replaced. From any thread, while the reader holds the file."""
        self._distrusted = file

    @property
    def _is_distrusted(self) -> bool:
        found = self._distrusted
        return found is not None and found == self._writer.file.identity

    def step(self, tell: Callable[[Change], None]) -> None:
        """Read up to the latest block, and tell what is new: of the chain first.

        An index that was deleted or damaged is read from the chain again. Raises Retryable if a
        node or the disk refuses; what is in the index by then has been told, and a later step goes
        on where this one ended.
        """
        if self._is_distrusted or self._writer.file.is_gone:
            self._begin_again()
        try:
            self._read_events()
            self._read_records()
            self._read_pools()
            self._read_transactions()
        finally:
            self._tell(tell)
        self._fetch_contents()
        recovered, self._behind = self._behind, False
        self._tell(tell, anyway=recovered)

    def run(self, stop: threading.Event, pause: float, tell: Callable[[Change], None]) -> None:
        """Step until stopped; `pause` seconds in between, longer while nodes refuse."""
        waiting = pause
        while not stop.is_set():
            try:
                self.step(tell)
                waiting = pause
            except Retryable as error:
                waiting = min(2 * waiting, max(pause, LONGEST_NODE_PAUSE))
                self._tell_behind(tell)
                log.warning("the index is behind the chain, trying again: %s", error)
            except StateDamaged as error:
                waiting = LONGEST_PAUSE if self._is_distrusted else pause
                log.error("%s", error)
                self.distrust(self._writer.file.identity)
                self._tell_behind(tell)
            except FedpactError as error:
                waiting = LONGEST_PAUSE
                log.error("the index cannot go on: %s", error)
                self._tell_behind(tell)
            except Exception:
                # Without this thread pages would stand still and say that they are live.
                waiting = LONGEST_PAUSE
                log.exception("the index cannot go on, trying again in %.0f s", waiting)
                self._tell_behind(tell)
            stop.wait(waiting)

    def _tell(self, tell: Callable[[Change], None], *, anyway: bool = False) -> None:
        """What the index has that was not told before; `anyway`: though that is nothing."""
        block, at = self._writer.index.head()
        requests, accounts = frozenset(self._touched), frozenset(self._accounts)
        others = self._others
        if len(accounts) > MOST_ACCOUNTS:
            accounts, others = frozenset(), True
        if requests or accounts or others or anyway or block != self._told:
            tell(Change(block, at, requests, others, accounts, self._behind))
        self._touched, self._accounts, self._others, self._told = set(), set(), False, block
        self._head = block, at

    def _tell_behind(self, tell: Callable[[Change], None]) -> None:
        """Once, until a step succeeds."""
        if self._told and not self._behind:
            tell(Change(*self._head, frozenset(), behind=True))
        self._behind = True

    def _begin_again(self) -> None:
        """With the file that is in the place of a deleted one, else with an empty one."""
        file = self._writer.file
        log.warning("the index %s is missing or damaged: reading the chain again", file.path)
        file.reopen(anew=self._is_distrusted)
        self._distrusted = None
        self._writer = IndexWriter(file)
        self._scanner = self._scan()
        self._others = True

    # ------------------------------------------------------------------ the chain

    def _scan(self) -> EventScanner:
        """From where the index ends."""
        first, ends = self._client.deployment.block, self._writer.ends()
        return EventScanner(self._client, first, self._confirmations, ends=ends, overlap=OVERLAP)

    def _read_events(self) -> None:
        frame = self._client.frame(self._confirmations)
        for chunk in self._scanner.chunks(frame):
            times = block_times(
                self._client, (one.block for one in chunk.events if one.timestamp is None)
            )
            changed, accounts, others = self._writer.replace(
                chunk.first, chunk.events, times, chunk.end
            )
            self._touched |= changed
            self._accounts |= accounts
            self._others |= others

    def _read_records(self) -> None:
        """Of rounds posted whole: what was signed is in the transaction."""
        file = self._writer.file
        rows = file.rows(
            "SELECT block, log_index FROM events WHERE name = 'RoundPosted' AND tx NOT IN"
            " (SELECT tx FROM records)"
        )
        wanted = {(int(block), int(index)) for block, index in rows}
        if not wanted:
            return
        for event in self._writer.index.events_named("RoundPosted"):
            if (event.block, event.log_index) in wanted:
                record = self._client.any_rounds.posted_record(event.tx_hash, event.args["record"])
                if record is not None:
                    self._writer.add_record(event.tx_hash, event.block, record)
                    self._touched.add(int(event.args["request"]))

    def _read_pools(self) -> None:
        """Of requests that have started: from then on a pool never changes."""
        rows = self._writer.file.rows(
            "SELECT request, max(block) FROM events WHERE name = 'Started' AND request NOT IN"
            " (SELECT request FROM pools) GROUP BY request"
        )
        pool = self._client.pool
        for request, block in rows:
            found = ClosedPool(pool.members(request), pool.left(request))
            self._writer.add_pool(request, block, found)
            self._touched.add(int(request))

    def _read_transactions(self) -> None:
        """Who sent them and what they cost, the newest first."""
        rows = self._writer.file.rows(
            "SELECT DISTINCT tx FROM events WHERE tx NOT IN (SELECT hash FROM transactions)"
            " ORDER BY block DESC LIMIT ?",
            (TRANSACTIONS_AT_ONCE,),
        )
        found = self._sent.read(str(tx) for (tx,) in rows)
        if not found:
            return
        self._writer.add_transactions(found)
        requests, others = self._writer.index.requests_in([one.hash for one in found])
        self._touched |= requests
        self._accounts |= {one.sender for one in found}
        self._others |= others

    # ------------------------------------------------------------------ the content store

    def _fetch_contents(self) -> None:
        """Enter specifications that have come, and ask for those that have not, until one cannot be
        had."""
        self._enter_contents(0.0)
        if self._asker.busy or time.monotonic() < self._store_due:
            return
        rows = self._writer.file.rows(
            "SELECT DISTINCT specification, coalesce(attempts, 0) FROM requests"
            " LEFT JOIN contents ON cid = specification"
            " WHERE body IS NULL AND coalesce(due, 0) <= ? ORDER BY 2, id DESC LIMIT ?",
            (int(time.time()), CONTENTS_AT_ONCE),
        )
        if rows:
            self._asker.ask([Wanted(str(cid), int(attempts)) for cid, attempts in rows])
            self._enter_contents(STORE_PATIENCE)

    def _enter_contents(self, seconds: float) -> None:
        """Enter what comes from the store within some seconds."""
        for answer in self._asker.take(seconds):
            if answer.body is None:
                self._store_pause = min(2 * self._store_pause, LONGEST_PAUSE)
                self._store_due = time.monotonic() + self._store_pause
            else:
                self._store_pause = SHORTEST_STORE_PAUSE
            self._enter(answer)

    def _enter(self, answer: Answer) -> None:
        cid, failed = answer.wanted.cid, answer.wanted.attempts
        wait = min(FIRST_RETRY_SECONDS << min(failed, 20), LAST_RETRY_SECONDS)
        due = int(time.time()) + wait
        self._writer.add_content(cid, answer.body, answer.problem, failed + 1, due)
        query = "SELECT id FROM requests WHERE specification = ?"
        described = {int(one) for (one,) in self._writer.file.rows(query, (cid,))}
        self._writer.describe(described)
        self._touched |= described
