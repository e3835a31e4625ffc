"""The daemon's checkpoint: one SQLite file, bound to one deployment and one account.

It holds the events read from the chain, the decision on each request, and the votes cast. Except
for the reasons of decisions, everything can be read or computed again: a lost file costs time, not
money (salts are derived from the account's key, and noised models are in the ledger).
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from fedpact.chain.records import Frame
from fedpact.chain.scanner import CHECKPOINTS
from fedpact.errors import StateError
from fedpact.types.deployment import Deployment

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    block INTEGER NOT NULL, log_index INTEGER NOT NULL, name TEXT NOT NULL,
    request INTEGER, args TEXT NOT NULL, PRIMARY KEY (block, log_index));
CREATE INDEX IF NOT EXISTS events_by_request ON events (request, name);
CREATE INDEX IF NOT EXISTS events_by_name ON events (name, block, log_index);
CREATE TABLE IF NOT EXISTS ends (block INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, standing TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS costs (request INTEGER NOT NULL, wei TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS votes (
    request INTEGER NOT NULL, round INTEGER NOT NULL, scores TEXT NOT NULL,
    record TEXT NOT NULL, PRIMARY KEY (request, round));
"""


class Participation(StrEnum):
    """How this provider takes part in a request."""

    NEW = "new"
    DECLINED = "declined"
    JOINED = "joined"
    FINISHED = "finished"


@dataclass(frozen=True)
class CastVote:
    """A vote as it was (or will be) committed: scores by seat, and the scorer's record."""

    scores: dict[int, int]
    record: dict[str, Any]


class ProviderState:
    """The daemon's SQLite file; nothing else opens it."""

    def __init__(self, path: Path, deployment: Deployment, account: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.changes = 0
        """Grows whenever events may have changed."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)
        identity = {
            "schema": str(SCHEMA_VERSION),
            "deployment": deployment.fingerprint.hex(),
            "account": account,
        }
        for key, value in identity.items():
            stored = self._meta(key)
            if stored is None:
                self._set_meta(key, value)
            elif stored != value:
                raise StateError(
                    f"state file {path} belongs to {key} {stored}, not {value}: "
                    "give another state folder for another deployment or account"
                )
        if self._meta("block") is None:
            self._set_meta("block", str(deployment.block - 1))
            self._set_meta("block_hash", "")
        elif self.block_hash and not self.ends():  # written by version 0.1
            self._db.execute("INSERT INTO ends VALUES (?, ?)", (self.block, self.block_hash))

    def close(self) -> None:
        self._db.close()

    # ------------------------------------------------------------------ chain facts

    @property
    def block(self) -> int:
        """Last block whose events are stored."""
        return int(self._meta("block") or 0)

    @property
    def block_hash(self) -> str:
        """Hash of that block; empty before the first scan."""
        return self._meta("block_hash") or ""

    def ends(self) -> list[Frame]:
        """The last blocks of the ranges that were read, oldest first (without their times)."""
        rows = self._db.execute("SELECT block, hash FROM ends ORDER BY block")
        return [Frame(int(block), str(block_hash), 0) for block, block_hash in rows]

    def ingest(
        self,
        events: Iterable[tuple[int, int, str, dict[str, Any]]],
        block: int,
        block_hash: str,
        first: int | None = None,
    ) -> None:
        """Replace what is known of blocks `first` (None: the next) to `block`, and all later ones.

        `events`: (block, log index, name, arguments). The checkpoint moves in the same transaction:
        all or nothing. What a reorganisation took away goes with it: events, requests, votes.
        """
        stored = False
        self._db.execute("BEGIN IMMEDIATE")
        try:
            forgotten = self._forget(self.block + 1 if first is None else first)
            for at, index, name, args in events:
                request, stored = args.get("requestId", args.get("request")), True
                self._db.execute(
                    "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)",
                    (at, index, name, request, json.dumps(args, default=_hex)),
                )
                if name == "RequestCreated":
                    self._db.execute(
                        "INSERT OR IGNORE INTO requests VALUES (?, ?, '')",
                        (request, Participation.NEW),
                    )
            if forgotten:
                self._drop_orphans()
            self._set_meta("block", str(block))
            self._set_meta("block_hash", block_hash)
            if block_hash:
                self._db.execute("INSERT OR REPLACE INTO ends VALUES (?, ?)", (block, block_hash))
                self._db.execute(
                    "DELETE FROM ends WHERE block NOT IN"
                    f" (SELECT block FROM ends ORDER BY block DESC LIMIT {CHECKPOINTS})"
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        if forgotten or stored:
            self.changes += 1

    def _forget(self, first: int) -> bool:
        self._db.execute("DELETE FROM ends WHERE block >= ?", (first,))
        return self._db.execute("DELETE FROM events WHERE block >= ?", (first,)).rowcount > 0

    def _drop_orphans(self) -> None:
        """Requests without a creation, and votes in them: another request may get the number."""
        created = "(SELECT request FROM events WHERE name = 'RequestCreated')"
        self._db.execute(f"DELETE FROM requests WHERE id NOT IN {created}")
        self._db.execute("DELETE FROM votes WHERE request NOT IN (SELECT id FROM requests)")

    def events(self, request: int, name: str) -> list[dict[str, Any]]:
        """Arguments of a request's events of one name, oldest first; bytes as 0x hex."""
        rows = self._db.execute(
            "SELECT args FROM events WHERE request = ? AND name = ? ORDER BY block, log_index",
            (request, name),
        )
        return [json.loads(args) for (args,) in rows]

    def events_of(self, request: int) -> list[tuple[str, dict[str, Any]]]:
        """(name, arguments) of all events of a request, oldest first."""
        rows = self._db.execute(
            "SELECT name, args FROM events WHERE request = ? ORDER BY block, log_index", (request,)
        )
        return [(name, json.loads(args)) for name, args in rows]

    def events_named(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """(name, arguments) of the events of these names, of all requests, oldest first."""
        rows = self._db.execute(
            f"SELECT name, args FROM events WHERE name IN ({', '.join('?' * len(names))})"
            " ORDER BY block, log_index",
            names,
        )
        return [(name, json.loads(args)) for name, args in rows]

    # ------------------------------------------------------------------ decisions

    def open_requests(self) -> list[tuple[int, Participation]]:
        """Requests in which this provider may still have a duty."""
        rows = self._db.execute(
            "SELECT id, standing FROM requests WHERE standing IN (?, ?) ORDER BY id",
            (Participation.NEW, Participation.JOINED),
        )
        return [(int(i), Participation(s)) for i, s in rows]

    def all_requests(self) -> list[tuple[int, Participation, str]]:
        rows = self._db.execute("SELECT id, standing, reason FROM requests ORDER BY id")
        return [(int(i), Participation(s), reason) for i, s, reason in rows]

    def decide(self, request: int, standing: Participation, reason: str) -> None:
        self._db.execute(
            "UPDATE requests SET standing = ?, reason = ? WHERE id = ?",
            (standing, reason, request),
        )

    # ------------------------------------------------------------------ costs

    def add_cost(self, request: int, wei: int) -> None:
        """Note what a transaction for a request has cost."""
        self._db.execute("INSERT INTO costs VALUES (?, ?)", (request, str(wei)))

    def cost(self, request: int) -> int:
        """Wei paid for a request's transactions."""
        rows = self._db.execute("SELECT wei FROM costs WHERE request = ?", (request,))
        return sum(int(wei) for (wei,) in rows)

    # ------------------------------------------------------------------ votes

    def vote(self, request: int, round_: int) -> CastVote | None:
        row = self._db.execute(
            "SELECT scores, record FROM votes WHERE request = ? AND round = ?", (request, round_)
        ).fetchone()
        if row is None:
            return None
        scores = {int(seat): int(score) for seat, score in json.loads(row[0]).items()}
        return CastVote(scores, json.loads(row[1]))

    def save_vote(self, request: int, round_: int, vote: CastVote) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)",
            (request, round_, json.dumps(vote.scores), json.dumps(vote.record)),
        )

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _hex(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    raise TypeError(f"cannot store a {type(value).__name__}")
