"""The ledger's SQLite file: opening, checking, transactions."""

import hmac
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import numpy as np

from fedpact.database import connect, explained
from fedpact.errors import LedgerError, LedgerUnavailable
from fedpact.privacy.accounting import ORDERS, steps_of
from fedpact.privacy.budget import Filter, Spend
from fedpact.privacy.mechanisms import decode_event

SCHEMA_VERSION = 4
APPLICATION_ID = 0x46504C31  # "FPL1", in the file's header
LOCK_TIMEOUT = 20.0
"""Seconds to wait for another process that writes."""

_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # Spends as `budget.Spend` encodes them.
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, spend BLOB NOT NULL)",
    """CREATE TABLE units (digest BLOB PRIMARY KEY, account INTEGER NOT NULL
        REFERENCES accounts(id)) WITHOUT ROWID""",
    "CREATE INDEX units_by_account ON units(account)",
    """CREATE TABLE releases (
        deployment BLOB NOT NULL, request INTEGER NOT NULL, round INTEGER NOT NULL,
        event TEXT, units INTEGER NOT NULL, charged_at INTEGER NOT NULL,
        digest BLOB NOT NULL, payload BLOB,
        PRIMARY KEY (deployment, request, round)) WITHOUT ROWID""",
    """CREATE TABLE holds (
        id INTEGER PRIMARY KEY, deployment BLOB NOT NULL, request INTEGER NOT NULL,
        event TEXT NOT NULL, remaining BLOB NOT NULL, UNIQUE (deployment, request))""",
)
_VERSION_2 = (
    # Charged by name, whatever the records are.
    "CREATE TABLE datasets (name TEXT PRIMARY KEY, spend BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE requesters (name TEXT PRIMARY KEY, spend BLOB NOT NULL) WITHOUT ROWID",
    # '' in a hold of version 1: it counts for all.
    "ALTER TABLE holds ADD COLUMN dataset TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE holds ADD COLUMN requester TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE releases ADD COLUMN dataset TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE releases ADD COLUMN requester TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE releases ADD COLUMN published INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE releases ADD COLUMN kept_at INTEGER NOT NULL DEFAULT 0",
    # Of releases whose bytes have not left this machine.
    """CREATE TABLE release_units (
        deployment BLOB NOT NULL, request INTEGER NOT NULL, round INTEGER NOT NULL,
        digest BLOB NOT NULL, PRIMARY KEY (deployment, request, round, digest)) WITHOUT ROWID""",
    "DROP TABLE IF EXISTS held_units",
)
_VERSION_4 = (
    # Units under canonical digests, with the digests of version 3 whose spends they took over.
    "CREATE TABLE links (unit BLOB, former BLOB, PRIMARY KEY (unit, former)) WITHOUT ROWID",
    # What data sets look like, for their owner; keyed digests of 16 bytes end to end.
    """CREATE TABLE sketches (dataset TEXT PRIMARY KEY, size INTEGER NOT NULL,
        columns BLOB NOT NULL, sketch BLOB NOT NULL, confirmed BLOB NOT NULL) WITHOUT ROWID""",
)


class LedgerFile:
    """An open ledger file. Durable: a finished transaction survives a power failure.

    Raises LedgerError, saying what to do, if the file is locked, corrupt, not a ledger, of a newer
    version or under another key. Only for one thread.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        lock_timeout: float = LOCK_TIMEOUT,
        former_key: bytes | None = None,
    ) -> None:
        """`former_key`: under which an account kept its ledger before version 4."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Stricter than SQLite's file mode: unpublished bytes are private. An existing file is
            # not opened: closing it again would drop the locks of other connections.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise LedgerUnavailable(
                f"privacy ledger {path}: it cannot be opened: {error.strerror}"
            ) from error
        with self._explained():
            self._db = self._connected(lock_timeout)
        try:
            with self._explained():
                self._prepare()
            with self.transaction() as db:
                self._identify(db, key, former_key or key)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Atomic and exclusive: no other process writes from the first read to the commit."""
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file."""
        with self._explained():
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def check_writable(self) -> None:
        """Raises LedgerUnavailable if nothing can be stored now."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('probe', ?)", (str(int(time.time())),))

    def verify(self) -> None:
        """Check every page, index and reference; opening checks only the pages."""
        with self.reading() as db:
            problem = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if problem != "ok":
                raise self.corrupt(str(problem))
            if db.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise self.corrupt("a record without an account")

    def _connected(self, lock_timeout: float) -> sqlite3.Connection:
        deadline = time.monotonic() + lock_timeout
        while True:
            # If two processes switch the same new file to WAL, SQLite lets one fail at once.
            try:
                return connect(self.path, timeout=lock_timeout)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _prepare(self) -> None:
        db = self._db
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("CREATE TEMP TABLE asked (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise self.corrupt(str(problem))

    def _identify(self, db: sqlite3.Connection, key: bytes, former_key: bytes) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        application = db.execute("PRAGMA application_id").fetchone()[0]
        proof, former_proof = (
            hmac.digest(one, b"fedpact privacy ledger", "sha256") for one in (key, former_key)
        )
        orders = json.dumps(ORDERS).encode()
        if version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in (*_TABLES, *_VERSION_2, *_VERSION_4):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('key', ?), ('orders', ?)", (proof, orders))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            return
        if application != APPLICATION_ID:
            raise LedgerError(f"privacy ledger {self.path}: the file is not a fedpact ledger")
        if version == 1:
            for statement in _VERSION_2:
                db.execute(statement)
        if version in (1, 2):
            _to_version_3(db)
        if version in (1, 2, 3):
            for statement in _VERSION_4:
                db.execute(statement)
            db.execute(
                "UPDATE meta SET value = ? WHERE name = 'key' AND value = ?", (proof, former_proof)
            )
            db.execute("INSERT INTO meta VALUES ('former', x'')")
            version = SCHEMA_VERSION
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        if version != SCHEMA_VERSION:
            raise LedgerError(
                f"privacy ledger {self.path}: schema version {version}, this fedpact reads"
                f" {SCHEMA_VERSION}: use the fedpact that wrote it, or a newer one"
            )
        meta = dict(db.execute("SELECT name, value FROM meta"))
        if meta.get("key") != proof:
            raise LedgerError(
                f"privacy ledger {self.path} belongs to another owner: restore the owner.key that"
                " it was made with, and give each account a folder of its own"
            )
        if meta.get("orders") != orders:
            raise self.corrupt("it uses other Renyi orders")

    def corrupt(self, detail: str) -> LedgerError:
        """The error for a file with invalid content."""
        return LedgerError(
            f"privacy ledger {self.path} is corrupt ({detail}): restore its newest backup;"
            " without it what was spent is unknown"
        )

    def _explained(self) -> AbstractContextManager[None]:
        return explained(
            f"privacy ledger {self.path}",
            self.corrupt,
            LedgerUnavailable,
            "locked by another process: is a second daemon of this account running?",
        )


def _to_version_3(db: sqlite3.Connection) -> None:
    """Spends were Renyi curves of everything: these go on under the Renyi filter, as before."""
    events = db.execute(
        "SELECT event FROM releases WHERE event NOT NULL UNION ALL SELECT event FROM holds"
    )
    # Nobody has been charged for more steps than there were.
    steps = sum(steps_of(decode_event(event)) for (event,) in events)
    for table, key, column in (
        ("accounts", "id", "spend"),
        ("datasets", "name", "spend"),
        ("requesters", "name", "spend"),
        ("holds", "id", "remaining"),
    ):
        for name, old in db.execute(f"SELECT {key}, {column} FROM {table}").fetchall():
            curve = np.frombuffer(old, "<f8").astype(np.float64)
            spend = Spend(Filter.RENYI, steps, 0.0, curve)
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (spend.encode(), name))
