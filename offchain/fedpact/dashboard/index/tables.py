"""The index file: its tables, its versions, and the two ways to open it.

One thread writes (fedpact.dashboard.index.follow); any number read, each over a connection of its
own that cannot write.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fedpact.closing import Closing
from fedpact.database import connect, explained, transaction
from fedpact.errors import StateDamaged, StorageUnavailable
from fedpact.types.deployment import Deployment

VERSION = 3
BUSY_SECONDS = 10.0

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE ends (block INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE events (
    block INTEGER NOT NULL, log_index INTEGER NOT NULL, tx TEXT NOT NULL, time INTEGER NOT NULL,
    contract TEXT NOT NULL, name TEXT NOT NULL, request INTEGER, args TEXT NOT NULL,
    PRIMARY KEY (block, log_index)) WITHOUT ROWID;
CREATE INDEX events_by_request ON events (request, block, log_index);
CREATE INDEX events_by_transaction ON events (tx);
CREATE INDEX events_by_name ON events (name, block, log_index);
CREATE TABLE mentions (
    account TEXT NOT NULL, block INTEGER NOT NULL, log_index INTEGER NOT NULL,
    PRIMARY KEY (account, block, log_index)) WITHOUT ROWID;
CREATE INDEX mentions_by_block ON mentions (block);
CREATE TABLE transactions (
    hash TEXT PRIMARY KEY, block INTEGER NOT NULL, sender TEXT NOT NULL, action TEXT NOT NULL,
    gas INTEGER NOT NULL, fee TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX transactions_by_sender ON transactions (sender);
CREATE TABLE records (tx TEXT NOT NULL, hash TEXT NOT NULL, block INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (tx, hash)) WITHOUT ROWID;
CREATE TABLE pools (request INTEGER PRIMARY KEY, block INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE contents (
    cid TEXT PRIMARY KEY, body BLOB, problem TEXT NOT NULL, attempts INTEGER NOT NULL,
    due INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, created INTEGER NOT NULL, requester TEXT NOT NULL, stage TEXT NOT NULL,
    title TEXT NOT NULL, category TEXT NOT NULL, search TEXT NOT NULL, pay REAL NOT NULL,
    epsilon REAL, deadline INTEGER NOT NULL, specification TEXT NOT NULL, row TEXT NOT NULL);
CREATE INDEX requests_by_stage ON requests (stage, id);
CREATE INDEX requests_by_specification ON requests (specification);
CREATE TABLE members (
    account TEXT NOT NULL, request INTEGER NOT NULL, PRIMARY KEY (account, request)
    ) WITHOUT ROWID;
"""


Identity = tuple[int, int]
"""Device and inode: another file at the same path has another one while either is open."""


def index_file(state: Path, deployment: Deployment) -> Path:
    """Where the index of a deployment is in the settings' state folder."""
    return state / "dashboard" / deployment.fingerprint.hex()[:16] / "index.sqlite"


class IndexFile(Closing):
    """An open index, for one thread at a time. Raises StorageUnavailable or StateDamaged."""

    def __init__(self, path: Path, *, writes: bool = False, rebuild: bool = False) -> None:
        """`writes`: make the file where it is missing, of another version or damaged; for one
        process alone. `rebuild`: start over in any case."""
        self.path = path
        if writes:
            if rebuild or not _is_current(path):
                remove(path)
            self._db, self.identity = _create(path), _identity(path)
        else:
            # Before it is opened: no reader of a deleted file takes its successor for it.
            self.identity = _identity(path)
            with self._explained():
                uri = f"{path.resolve().as_uri()}?mode=ro"
                self._db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()

    @property
    def is_gone(self) -> bool:
        """Of a file to write: whether it has been deleted or replaced."""
        return _identity(self.path) != self.identity

    def reopen(self, *, anew: bool) -> None:
        """Of a file to write: go on with what is at its path now, or with an empty file there.
        Raises StorageUnavailable, StateDamaged."""
        self.close()
        if anew:
            remove(self.path)
        self._db, self.identity = _create(self.path), _identity(self.path)

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._explained():
            return self._db.execute(query, tuple(values)).fetchall()

    def change(self, statement: str, values: Iterable[Any] = ()) -> int:
        """The number of rows that a statement changed."""
        with self._explained():
            return self._db.execute(statement, tuple(values)).rowcount

    def change_all(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._explained():
            self._db.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside, or none."""
        with self._explained(), transaction(self._db):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[IndexFile]:
        """All queries inside see one state. Raises StorageUnavailable while the file is made."""
        with self._explained():
            self._db.execute("BEGIN")
        try:
            if not self.rows("PRAGMA user_version")[0][0]:
                raise StorageUnavailable(f"index {self.path} is being made: try again")
            yield self
        finally:
            with suppress(sqlite3.Error):
                self._db.execute("COMMIT")

    def meta(self, key: str) -> str:
        """A value of `meta`; empty if it is not set."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else ""

    def set_meta(self, key: str, value: str) -> None:
        self.change("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _explained(self) -> Any:
        return explained(f"index {self.path}", self._damaged)

    def _damaged(self, detail: str) -> StateDamaged:
        return StateDamaged(
            f"index {self.path} is damaged ({detail}): it is made again from the chain"
        )


def packed(args: Any) -> str:
    """An event's arguments as JSON; `unpacked` gives them back."""
    return json.dumps(args, default=_bytes, separators=(",", ":"))


def unpacked(text: str) -> Any:
    """Values as they were given to `packed`; tuples come back as lists."""
    return json.loads(text, object_hook=_from_hex)


def remove(path: Path) -> None:
    """Delete an index with all that belongs to it."""
    try:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StorageUnavailable(f"index {path}: {error.strerror}") from error


def _create(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailable(f"index {path}: {error.strerror}") from error
    with explained(f"index {path}", StateDamaged):
        db = connect(path, timeout=BUSY_SECONDS, threads=True)
        # What a power failure takes is read from the chain again.
        db.execute("PRAGMA synchronous = OFF")
        if not db.execute("PRAGMA user_version").fetchone()[0]:
            db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    return db


def _identity(path: Path) -> Identity | None:
    """Of the file at a path; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_current(path: Path) -> bool:
    """Whether there is no file, or one that this version can go on with."""
    if not path.exists():
        return True
    try:
        db = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            return bool(
                version == VERSION and db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
            )
        finally:
            db.close()
    except sqlite3.DatabaseError:
        return False


def _bytes(value: object) -> dict[str, str]:
    if isinstance(value, bytes | bytearray):
        return {"0x": bytes(value).hex()}
    raise TypeError(f"cannot store a {type(value).__name__}")


def _from_hex(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value["0x"]) if value.keys() == {"0x"} else value
