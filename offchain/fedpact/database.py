"""SQLite files that outlive what happens to their disk: opening them, and what errors mean.

SQLite's own exceptions never leave this module's callers: a file that cannot be used *now* (locked,
disk full, read-only, over quota) raises StorageUnavailable, which whoever runs for long tries
again; a damaged one raises what the caller chooses.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fedpact.errors import FedpactError, StorageUnavailable

_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "access is denied",
    sqlite3.SQLITE_IOERR: "the disk refuses (full, over quota or failing)",
    sqlite3.SQLITE_NOMEM: "memory is exhausted",
}
_DAMAGED_FILE_SYSTEM = sqlite3.SQLITE_IOERR_CORRUPTFS


def connect(path: Path | str, *, timeout: float, threads: bool = False) -> sqlite3.Connection:
    """A connection in WAL mode, without implicit transactions.

    `timeout`: seconds to wait for another connection that writes. `threads`: the caller's locks
    serialise its use by several threads.
    """
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=not threads)
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All changes inside, or none; no other connection writes until then."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite ends it by itself when the disk is full
            db.execute("ROLLBACK")
        raise


@contextmanager
def explained(
    what: str,
    damaged: Callable[[str], FedpactError],
    unavailable: Callable[[str], FedpactError] = StorageUnavailable,
    locked: str = "locked by another process",
) -> Iterator[None]:
    """Turns SQLite's errors into fedpact's.

    `what`: names the file. `damaged` makes the error for a file with invalid content from a detail,
    `unavailable` that for one that cannot be used now from the whole message.
    """
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the primary code; errors of the module itself have none.
        extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        code = extended & 0xFF
        if code in _LOCKED:
            raise unavailable(f"{what} is {locked}") from error
        if code in _UNAVAILABLE and extended != _DAMAGED_FILE_SYSTEM:
            raise unavailable(f"{what}: {_UNAVAILABLE[code]} ({error})") from error
        raise damaged(str(error)) from error


def set_aside(path: Path) -> None:
    """Rename a damaged file to NAME.damaged, in place of the last one that was set aside.

    Raises StorageUnavailable if the folder cannot be written.
    """
    try:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.damaged"))
    except OSError as error:
        raise StorageUnavailable(f"{path}: {error.strerror}") from error
