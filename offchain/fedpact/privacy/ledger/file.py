"""The ledger's SQLite file: opening, checking, transactions."""

import hmac
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fedpact.database import connect, explained, transaction
from fedpact.errors import LedgerError, LedgerReplaced, LedgerUnavailable
from fedpact.privacy.accounting import ORDERS
from fedpact.privacy.ledger import journal
from fedpact.privacy.ledger.schema import SCHEMA_VERSION, create, migrate

APPLICATION_ID = 0x46504C31  # "FPL1", in the file's header
LOCK_TIMEOUT = 20.0
"""Seconds to wait for another process that writes."""


@dataclass
class Watch:
    """What all connections of one process know of the file at a path: which one it is, and how far
    its journal had come."""

    file: tuple[int, int] | None = None
    """Device and inode."""
    wal: tuple[int, int] | None = None
    """Of SQLite's journal beside it."""
    sequence: int = 0
    head: bytes = journal.FIRST


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
        watch: Watch | None = None,
    ) -> None:
        """`former_key`: under which an account kept its ledger before version 4. `watch`: of
        another connection of this process; it must be the same file."""
        self.path = path
        self.watch = watch or Watch()
        self._keys = (key, former_key or key)
        self._timeout = lock_timeout
        self._open()

    def _open(self) -> None:
        path = self.path
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
        if self.watch.file is not None and not self._same_file():
            # Opened, SQLite would play the other file's journal into this one.
            raise self._replaced()
        with self._explained():
            self._db = self._connected(self._timeout)
        try:
            with self._explained():
                self._prepare()
                if self.watch.file is None:
                    self.watch.file = _identity(self.path)
            with self.transaction() as db:
                self._identify(db, *self._keys)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def reopen(self) -> None:
        """Go over to the file that is at the path now, after LedgerReplaced."""
        self._db.close()
        # SQLite leaves the journal of a file that was moved, and would play it into the new one.
        wal = self.path.with_name(self.path.name + "-wal")
        if _identity(wal) == self.watch.wal:
            try:
                for suffix in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            except OSError as error:
                raise LedgerUnavailable(f"privacy ledger {self.path}: {error.strerror}") from error
        vars(self.watch).update(vars(Watch()))
        self._open()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Atomic and exclusive: no other process writes from the first read to the commit.

        Raises LedgerReplaced, before anything is written, if the path has another file by now, or
        the file an older content.
        """
        with self._explained():
            with transaction(self._db):
                self._require_same()
                yield self._db
                sequence, head = self._head()
            self.watch.sequence, self.watch.head = sequence, head
            self.watch.wal = _identity(self.path.with_name(self.path.name + "-wal"))

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

    def _require_same(self) -> None:
        watch = self.watch
        same = self._same_file()
        if same and watch.sequence:
            same = journal.hash_at(self._db, watch.sequence) == watch.head
        if not same:
            raise self._replaced()

    def _same_file(self) -> bool:
        return self.watch.file == _identity(self.path)

    def _replaced(self) -> LedgerReplaced:
        return LedgerReplaced(
            f"privacy ledger {self.path}: another file, or an older copy, has taken its place"
        )

    def _head(self) -> tuple[int, bytes]:
        return journal.head(self._db)

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
            create(db)
            db.execute("INSERT INTO meta VALUES ('key', ?), ('orders', ?)", (proof, orders))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            return
        if application != APPLICATION_ID:
            raise LedgerError(f"privacy ledger {self.path}: the file is not a fedpact ledger")
        if 0 < version < SCHEMA_VERSION:
            migrate(db, version)
            if version <= 3:
                db.execute(
                    "UPDATE meta SET value = ? WHERE name = 'key' AND value = ?",
                    (proof, former_proof),
                )
            version = SCHEMA_VERSION
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
