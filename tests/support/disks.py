"""Full disks, and locked or damaged files."""

import os
import resource
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fedpact.demo.fleet import Process


@contextmanager
def full_disk(process: Process, largest: int) -> Iterator[None]:
    """No file that the process writes can grow beyond `largest` bytes (RLIMIT_FSIZE)."""
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process is writing to a SQLite file."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield


def damage(path: Path) -> None:
    """Overwrite each page of a SQLite file but the first."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))


def in_a_fork(action: Callable[[Callable[[], None]], None]) -> None:
    """Run `action` in a forked process; fails if it raises. It gets a function that fills the
    disk: from then on no file can grow at all."""

    def fill() -> None:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))

    child = os.fork()
    if child == 0:
        status = 70
        try:
            action(fill)
            status = 0
        except BaseException:  # noqa: BLE001 - the parent sees the exit status alone
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
