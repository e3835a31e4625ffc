"""Writes what the chain says into the index; each chunk of blocks in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedpact.chain.records import Event, Frame
from fedpact.chain.scanner import CHECKPOINTS
from fedpact.chain.signed_messages import LargeRecord, RoundRecord
from fedpact.dashboard.index.reading import Index, Transaction
from fedpact.dashboard.index.summary import summarise
from fedpact.dashboard.index.tables import IndexFile, packed
from fedpact.dashboard.story import ClosedPool

_BY_BLOCK = ("ends", "events", "mentions", "transactions", "records", "pools")


class IndexWriter:
    """For one thread of one process."""

    def __init__(self, file: IndexFile) -> None:
        self.file = file
        self.index = Index(file)

    def ends(self) -> list[Frame]:
        """The last blocks of the ranges that were read, oldest first (without their times)."""
        rows = self.file.rows("SELECT block, hash FROM ends ORDER BY block")
        return [Frame(int(block), str(named), 0) for block, named in rows]

    def replace(
        self, first: int, events: Sequence[Event], times: Mapping[int, int], end: Frame | None
    ) -> tuple[set[int], set[str], bool]:
        """Replace all of block `first` and later; the requests and accounts that changed, and
        whether any event that belongs to no request came or went. Events of earlier blocks may be
        among them.

        `times`: of the blocks whose events do not tell it. `end`: the last block read.
        """
        with self.file.transaction():
            gone = self.file.rows("SELECT DISTINCT request FROM events WHERE block >= ?", (first,))
            accounts = self.file.rows(
                "SELECT DISTINCT account FROM mentions WHERE block >= ?", (first,)
            )
            fresh = self._fresh(first, events)
            for table in _BY_BLOCK:
                self.file.change(f"DELETE FROM {table} WHERE block >= ?", (first,))
            self.file.change_all(
                "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(one, times) for one in fresh],
            )
            mentions = [
                (who, one.block, one.log_index) for one in fresh for who in mentioned(one.args)
            ]
            self.file.change_all("INSERT OR REPLACE INTO mentions VALUES (?, ?, ?)", mentions)
            if end is not None:
                self._reached(end)
            changed = {one for (one,) in gone} | set(map(_request, fresh))
            touched = {int(one) for one in changed if one is not None}
            self._summarise(touched)
        named = {str(one) for (one,) in accounts} | {who for who, *_ in mentions}
        return touched, named, None in changed

    def describe(self, requests: Iterable[int]) -> None:
        """Renew the rows of requests about which something else has become known."""
        with self.file.transaction():
            self._summarise(requests)

    # ------------------------------------------------------------------ what events do not tell

    def add_transactions(self, found: Iterable[Transaction]) -> None:
        with self.file.transaction():
            self.file.change_all(
                "INSERT OR REPLACE INTO transactions VALUES (?, ?, ?, ?, ?, ?)",
                [(o.hash, o.block, o.sender, o.action, o.gas, str(o.fee)) for o in found],
            )

    def add_record(self, tx: str, block: int, record: RoundRecord | LargeRecord) -> None:
        told: Any = record.fields
        if isinstance(record, LargeRecord):
            told = {"large": record.fields, "points": record.points}
        body = packed(told)
        values = (tx, record.hash.hex(), block, body)
        self.file.change("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", values)

    def add_pool(self, request: int, block: int, pool: ClosedPool) -> None:
        members = [
            (one.account, one.organisation, one.samples, one.reputation, one.weight_sum)
            for one in pool.members
        ]
        body = packed((members, pool.left))
        self.file.change("INSERT OR REPLACE INTO pools VALUES (?, ?, ?)", (request, block, body))

    def add_content(
        self, cid: str, body: bytes | None, problem: str, attempts: int, due: int
    ) -> None:
        """`due`: when to ask for it again if it is missing, Unix time in seconds."""
        values = (cid, body, problem, attempts, due)
        self.file.change("INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?)", values)

    # ------------------------------------------------------------------ inside a transaction

    def _reached(self, end: Frame) -> None:
        self.file.change(
            "INSERT OR REPLACE INTO ends VALUES (?, ?)", (end.block_number, end.block_hash)
        )
        self.file.change(
            "DELETE FROM ends WHERE block NOT IN"
            f" (SELECT block FROM ends ORDER BY block DESC LIMIT {CHECKPOINTS})"
        )
        self.file.set_meta("block", str(end.block_number))
        self.file.set_meta("time", str(end.timestamp))

    def _fresh(self, first: int, events: Sequence[Event]) -> list[Event]:
        """Without those of blocks before `first` that are known."""
        earliest = min((one.block for one in events), default=first)
        rows = self.file.rows(
            "SELECT block, log_index FROM events WHERE block >= ? AND block < ?", (earliest, first)
        )
        known = set(rows)
        return [one for one in events if (one.block, one.log_index) not in known]

    def _summarise(self, requests: Iterable[int]) -> None:
        for request in requests:
            self.file.change("DELETE FROM members WHERE request = ?", (request,))
            events = "SELECT 1 FROM events WHERE request = ? AND name = 'RequestCreated'"
            if not self.file.rows(events, (request,)):
                self.file.change("DELETE FROM requests WHERE id = ?", (request,))
                continue
            story = self.index.story(request)
            row = summarise(story, self.index.described(story.created))
            self.file.change(
                "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row.columns,
            )
            self.file.change_all(
                "INSERT OR REPLACE INTO members VALUES (?, ?)",
                [(one.provider, request) for one in story.joined],
            )


def mentioned(value: Any) -> set[str]:
    """The accounts that an event's arguments name."""
    if isinstance(value, Mapping):
        return {one for part in value.values() for one in mentioned(part)}
    if isinstance(value, list | tuple):
        return {one for part in value for one in mentioned(part)}
    return {value} if isinstance(value, str) and len(value) == 42 else set()


def _request(event: Event) -> int | None:
    found = event.args.get("request")
    return None if found is None else int(found)


def _row(event: Event, times: Mapping[int, int]) -> tuple[Any, ...]:
    time = times[event.block] if event.timestamp is None else event.timestamp
    named = (event.contract, event.name, _request(event), packed(event.args))
    return (event.block, event.log_index, event.tx_hash, time, *named)
