"""Keeps the index up with the chain, and fetches what events do not tell."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fedpact.chain.client import ClientV2
from fedpact.chain.scanner import EventScanner
from fedpact.content.store import ContentStore
from fedpact.dashboard.index.sent import SentReader, block_times
from fedpact.dashboard.index.tables import IndexFile
from fedpact.dashboard.index.writing import IndexWriter
from fedpact.dashboard.story import Pool
from fedpact.errors import ContentError, FedpactError, Retryable
from fedpact.types.cid import Cid
from fedpact.types.specification import SPECIFICATION_MAX_BYTES

log = logging.getLogger(__name__)

OVERLAP = 2
"""Blocks that are read again: a node's index of logs may be behind its head."""
TRANSACTIONS_AT_ONCE = 200
CONTENTS_AT_ONCE = 20
RETRY_SECONDS = 60
"""After which content that was missing is asked for again."""
LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Change:
    """What a step has found."""

    block: int
    time: int
    requests: frozenset[int]
    """Those about which something new is known."""
    others: bool = False
    """Whether something became known that belongs to no request."""


class Follower:
    """Writes the index of a deployment of the second protocol; for one thread."""

    def __init__(
        self,
        client: ClientV2,
        store: ContentStore,
        file: IndexFile,
        confirmations: int = 0,
    ) -> None:
        self._client, self._store = client, store
        self._writer = IndexWriter(file)
        self._confirmations = confirmations
        self._scanner = EventScanner(
            client,
            client.deployment.block,
            confirmations,
            ends=self._writer.ends(),
            overlap=OVERLAP,
        )
        self._sent = SentReader(client)

    def step(self) -> Change | None:
        """Read up to the latest block; None if it was read before and nothing was fetched.

        Raises Retryable if a node or the disk refuses; a later step goes on where this one ended.
        """
        frame = self._client.frame(self._confirmations)
        known, _ = self._writer.index.head()
        touched: set[int] = set()
        others = False
        for chunk in self._scanner.chunks(frame):
            times = block_times(
                self._client, (one.block for one in chunk.events if one.timestamp is None)
            )
            changed, new = self._writer.replace(chunk.first, chunk.events, times, chunk.end)
            touched |= changed
            others = others or new
        self._read_records()
        self._read_pools()
        touched |= self._fetch_contents()
        others = self._read_transactions() or others
        if frame.block_number == known and not touched and not others:
            return None
        return Change(frame.block_number, frame.timestamp, frozenset(touched), others)

    def run(self, stop: threading.Event, pause: float, tell: Callable[[Change], None]) -> None:
        """Step until stopped; `pause` seconds in between, longer while nodes refuse."""
        waiting = pause
        while not stop.is_set():
            try:
                change = self.step()
                waiting = pause
                if change is not None:
                    tell(change)
            except Retryable as error:
                waiting = min(2 * waiting, LONGEST_PAUSE)
                log.warning("the index is behind the chain, trying again: %s", error)
            except FedpactError as error:
                waiting = LONGEST_PAUSE
                log.error("the index cannot go on: %s", error)
            stop.wait(waiting)

    # ------------------------------------------------------------------ what events do not tell

    def _read_records(self) -> None:
        """Of rounds posted whole: votes and digests are in the transaction."""
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
                record = self._client.rounds.posted_record(event.tx_hash, event.args["record"])
                if record is not None:
                    self._writer.add_record(event.tx_hash, event.block, record)

    def _read_pools(self) -> None:
        """Of requests that have started: from then on a pool never changes."""
        rows = self._writer.file.rows(
            "SELECT request, max(block) FROM events WHERE name = 'Started' AND request NOT IN"
            " (SELECT request FROM pools) GROUP BY request"
        )
        pool = self._client.pool
        for request, block in rows:
            found = Pool(pool.members(request), pool.left(request))
            self._writer.add_pool(request, block, found)

    def _read_transactions(self) -> bool:
        """Who sent them and what they cost, the newest first; whether there were any."""
        rows = self._writer.file.rows(
            "SELECT DISTINCT tx FROM events WHERE tx NOT IN (SELECT hash FROM transactions)"
            " ORDER BY block DESC LIMIT ?",
            (TRANSACTIONS_AT_ONCE,),
        )
        hashes = [str(tx) for (tx,) in rows]
        found = self._sent.read(hashes)
        if found:
            self._writer.add_transactions(found)
        return bool(found)

    def _fetch_contents(self) -> set[int]:
        """Specifications that are not here yet; the requests that they describe."""
        now = int(time.time())
        rows = self._writer.file.rows(
            "SELECT DISTINCT specification FROM requests LEFT JOIN contents ON cid = specification"
            " WHERE body IS NULL AND coalesce(tried, 0) < ? ORDER BY id DESC LIMIT ?",
            (now - RETRY_SECONDS, CONTENTS_AT_ONCE),
        )
        described: set[int] = set()
        for (cid,) in rows:
            try:
                body, problem = self._store.get(Cid.parse(cid), SPECIFICATION_MAX_BYTES), ""
            except (ContentError, Retryable) as error:
                body, problem = None, str(error)
            self._writer.add_content(cid, body, problem, now)
            query = "SELECT id FROM requests WHERE specification = ?"
            described |= {int(one) for (one,) in self._writer.file.rows(query, (cid,))}
        self._writer.describe(described)
        return described
