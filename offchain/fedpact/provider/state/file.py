"""The daemon's state file: opening, checking, migrating, setting aside a damaged one."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fedpact.closing import Closing
from fedpact.database import connect, explained, set_aside, transaction
from fedpact.errors import StateDamaged, StateError, StorageUnavailable

BUSY_SECONDS = 5.0
"""How long a statement waits for another process that writes."""
MOST_LOG = 4 << 20
"""Bytes that the write-ahead log may keep after it has been written back."""
INCREMENTAL = 2
"""The mode of auto_vacuum in which free pages are given back when asked for."""

Row = tuple[Any, ...]

_VERSION_1 = """
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
_VERSION_2 = """
INSERT OR IGNORE INTO ends
    SELECT CAST(height.value AS INTEGER), at.value FROM meta AS height, meta AS at
    WHERE height.key = 'block' AND at.key = 'block_hash' AND at.value != ''
    AND NOT EXISTS (SELECT 1 FROM ends);
CREATE INDEX IF NOT EXISTS costs_by_request ON costs (request);
DELETE FROM meta WHERE key = 'schema';
"""
_VERSION_3 = """
CREATE TABLE said (
    request INTEGER NOT NULL, round INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (request, round, kind));
CREATE TABLE heard (
    request INTEGER NOT NULL, round INTEGER NOT NULL, kind TEXT NOT NULL, seat INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (request, round, kind, seat, body));
"""
_VERSION_4 = """
CREATE TABLE submitted (
    request INTEGER NOT NULL, round INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (request, round)) WITHOUT ROWID;
"""
_VERSION_5 = """
CREATE TABLE sums (
    request INTEGER NOT NULL, round INTEGER NOT NULL, secrets TEXT NOT NULL,
    PRIMARY KEY (request, round));
"""
_VERSION_6 = """
ALTER TABLE requests ADD COLUMN data TEXT NOT NULL DEFAULT '';
"""
MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5, _VERSION_6)
"""Statements that lead from each version to the next. A file of version 1 carries the number in
`meta` and may lack later tables, hence IF NOT EXISTS; later files carry it in `user_version`."""


class StateFile(Closing):
    """An open state file, for one thread. What it holds can be read from the chain again.

    Every method raises StorageUnavailable if the file is locked or its disk full or read-only, and
    StateDamaged if its content is invalid; opening raises StateError for a file of another identity
    or of a newer version.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        """`identity`: what the file belongs to, such as a deployment and an account."""
        self.path = path
        self._identity = dict(identity)
        self._db = self._opened()

    @classmethod
    def opened_or_rebuilt(cls, path: Path, identity: Mapping[str, str]) -> tuple["StateFile", bool]:
        """The file, and whether a damaged one was set aside for a new one."""
        try:
            return cls(path, identity), False
        except StateDamaged:
            set_aside(path)
            return cls(path, identity), True

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()

    def rebuild(self) -> None:
        """Set the file aside and begin a new one."""
        self.close()
        set_aside(self.path)
        self._db = self._opened()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._explained():
            return self._db.execute(query, values).fetchall()

    def change_durably(self, statement: str, values: Sequence[Any] = ()) -> int:
        """The same, on disk when it returns: for what the chain does not know."""
        with self._explained():
            self._db.execute("PRAGMA synchronous = FULL")
            try:
                return self._db.execute(statement, values).rowcount
            finally:
                self._db.execute("PRAGMA synchronous = NORMAL")

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement; the number of rows that it changed."""
        with self._explained():
            return self._db.execute(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside, or none."""
        with self._explained(), transaction(self._db):
            yield

    def decoded(self, text: str) -> Any:
        """JSON of a cell. Raises StateDamaged if it is none."""
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def give_back(self) -> None:
        """Give the file system back what deleted rows took."""
        with self._explained():
            # `execute` would stop after the first page.
            self._db.executescript("PRAGMA incremental_vacuum;")

    # ------------------------------------------------------------------ opening

    def _opened(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"state file {self.path}: {error.strerror}") from error
        with self._explained():
            db = connect(self.path, timeout=BUSY_SECONDS)
        try:
            with self._explained():
                # What a power failure takes is read from the chain again.
                db.execute("PRAGMA synchronous = NORMAL")
                problem = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
                if problem != "ok":
                    raise self._damaged(str(problem))
                self._migrate(db)
                db.execute(f"PRAGMA journal_size_limit = {MOST_LOG}")
            self._let_shrink(db)
        except BaseException:
            with suppress(sqlite3.Error):
                db.close()
            raise
        return db

    def _let_shrink(self, db: sqlite3.Connection) -> None:
        """Once for each file. Where there is no room for it now, the next start tries again."""
        with suppress(StorageUnavailable), self._explained():
            if db.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                db.execute("VACUUM")

    def _migrate(self, db: sqlite3.Connection) -> None:
        with transaction(db):
            version = self._version(db)
            for statements in MIGRATIONS[version:]:
                for statement in statements.split(";\n"):
                    db.execute(statement)
            if version < len(MIGRATIONS):
                db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            for key, value in self._identity.items():
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
                row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
                if row[0] != value:
                    raise StateError(
                        f"state file {self.path} belongs to {key} {row[0]}, not {value}: give "
                        "another state folder for another deployment or account"
                    )

    def _version(self, db: sqlite3.Connection) -> int:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StateError(
                f"state file {self.path}: schema version {version}, this fedpact reads "
                f"{len(MIGRATIONS)}: use the fedpact that wrote it, or remove the file; it is read "
                "from the chain again"
            )
        return version

    def _explained(self) -> Any:
        return explained(f"state file {self.path}", self._damaged)

    def _damaged(self, detail: str) -> StateDamaged:
        return StateDamaged(
            f"state file {self.path} is damaged ({detail}): remove it; a daemon sets it aside and "
            "reads everything from the chain again"
        )
