"""Which content an owner keeps, for which request, and how long: one SQLite file for each owner."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from fedpact.closing import Closing
from fedpact.database import connect, explained, set_aside
from fedpact.errors import StateError
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)

PINS = "pins.sqlite"
"""Name of every register, wherever its owner's folder is."""
LOCK_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    deployment TEXT NOT NULL, request INTEGER NOT NULL, cid TEXT NOT NULL, bytes INTEGER NOT NULL,
    pinned INTEGER NOT NULL, looked_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (deployment, request, cid)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_by_cid ON items (cid);
CREATE TABLE IF NOT EXISTS ends (
    deployment TEXT NOT NULL, request INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (deployment, request)) WITHOUT ROWID;
"""
_ENDED = (
    "EXISTS (SELECT 1 FROM ends e WHERE e.deployment = i.deployment AND e.request = i.request"
    " AND e.until <= ?)"
)


@dataclass(frozen=True)
class KeptRequest:
    """What is kept for one request."""

    deployment: str
    """Fingerprint of the deployment, in hex."""
    request: int
    items: int
    bytes: int
    until: int | None
    """Seconds since 1970 until which it is owed; None while the request goes on."""


class PinRegister(Closing):
    """An open register; created if missing. Only for one thread; several processes may share one.

    Every method raises StateError for a damaged file, StorageUnavailable for one that cannot be
    used now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._reporting():
            self._db = connect(path, timeout=LOCK_SECONDS)
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def note(self, deployment: str, request: int, cid: Cid, size: int, *, pinned: bool) -> None:
        """An item is kept for a request; `pinned`: it was put into the store by this owner."""
        with self._reporting():
            self._db.execute(
                "INSERT INTO items (deployment, request, cid, bytes, pinned) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET pinned = max(pinned, excluded.pinned)",
                (deployment, request, str(cid), size, pinned),
            )

    def end(self, deployment: str, request: int, until: int) -> None:
        """Nothing is owed for a request after `until` (seconds since 1970), as first said."""
        with self._reporting():
            self._db.execute(
                "INSERT OR IGNORE INTO ends VALUES (?, ?, ?)", (deployment, request, until)
            )

    def summary(self) -> list[KeptRequest]:
        """By deployment and request."""
        with self._reporting():
            rows = self._db.execute(
                "SELECT deployment, request, count(*), sum(bytes), until FROM items"
                " LEFT JOIN ends USING (deployment, request) GROUP BY 1, 2 ORDER BY 1, 2"
            )
            return [KeptRequest(*row) for row in rows]

    def size(self) -> int:
        """Bytes of all items, each counted once."""
        with self._reporting():
            query = "SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM items"
            return int(self._db.execute(f"{query} GROUP BY cid)").fetchone()[0])

    def owed(self, now: int) -> set[Cid]:
        """What is kept for a request that has not ended at `now`."""
        with self._reporting():
            rows = self._db.execute(f"SELECT cid FROM items i WHERE NOT {_ENDED}", (now,))
            return {Cid.parse(cid) for (cid,) in rows}

    def next_owed(self, now: int, count: int) -> dict[Cid, int]:
        """Those of `owed` that were not looked at for longest, with their bytes; they count as
        looked at now."""
        with self._reporting():
            rows = self._db.execute(
                f"SELECT cid, max(bytes) FROM items i WHERE NOT {_ENDED} GROUP BY cid"
                " ORDER BY min(looked_at), cid LIMIT ?",
                (now, count),
            ).fetchall()
            looked = "UPDATE items SET looked_at = ? WHERE cid = ?"
            self._db.executemany(looked, ((now, cid) for cid, _ in rows))
            return {Cid.parse(cid): int(size) for cid, size in rows}

    def past(self, now: int) -> dict[Cid, int]:
        """Pinned items that are owed for nothing any more, with their bytes."""
        with self._reporting():
            rows = self._db.execute(
                "SELECT cid, max(bytes), max(pinned) FROM items i"
                f" GROUP BY cid HAVING min({_ENDED})",
                (now,),
            )
            return {Cid.parse(cid): int(size) for cid, size, pinned in rows if pinned}

    def owes(self, cid: Cid, now: int) -> bool:
        """Whether an item is in `owed`."""
        with self._reporting():
            found = f"SELECT 1 FROM items i WHERE cid = ? AND NOT {_ENDED}"
            return self._db.execute(found, (str(cid), now)).fetchone() is not None

    def forget(self, cid: Cid, now: int) -> None:
        """An item is kept no more for requests that have ended at `now`."""
        with self._reporting():
            self._db.execute(f"DELETE FROM items AS i WHERE cid = ? AND {_ENDED}", (str(cid), now))

    def forget_copies(self, now: int) -> None:
        """Drop the entries of what was only fetched, and is owed for nothing any more."""
        with self._reporting():
            self._db.execute(f"DELETE FROM items AS i WHERE pinned = 0 AND {_ENDED}", (now,))

    def _reporting(self) -> AbstractContextManager[None]:
        def damaged(detail: str) -> StateError:
            return StateError(f"pin register {self._path} is damaged: {detail}")

        return explained(f"pin register {self._path}", damaged)


def opened_register(path: Path) -> PinRegister:
    """An owner's register. A damaged one is set aside, and a new one begun: what it knew stays
    pinned, and is not put again. Raises StorageUnavailable."""
    try:
        return PinRegister(path)
    except StateError as error:
        log.error("%s: starting a new one", error)
        set_aside(path)
        return PinRegister(path)
