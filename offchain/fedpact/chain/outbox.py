"""Signed transactions that are not mined yet, on disk: so that none is sent twice after a crash."""

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fedpact.chain.records import Call
from fedpact.database import connect, explained, set_aside
from fedpact.errors import StateDamaged, StorageUnavailable

T = TypeVar("T")

log = logging.getLogger(__name__)

LOCK_TIMEOUT = 10.0
"""Seconds to wait for another process that writes."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS transactions (
    chain TEXT NOT NULL, account TEXT NOT NULL, nonce INTEGER NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (chain, account, nonce));
"""


@dataclass
class Pending:
    """A transaction under way and its replacements; all have the same nonce."""

    call: Call
    nonce: int
    gas: int
    max_fee: int
    tip: int
    legacy: bool
    """The fees are in wei per gas; on chains without base fee `max_fee` is the gas price."""
    signed_at: float
    """Seconds since 1970."""
    raw: bytes = b""
    hashes: list[str] = field(default_factory=list)
    purpose: int = 0
    """The request for which it is sent; 0: none."""
    sent_at: float = 0.0
    """Monotonic; when it was broadcast last."""
    mined: dict[str, Any] | None = None
    """The receipt, once there is one."""
    overtaken: int = 0
    """Looks in a row that found the nonce used and no receipt of ours."""
    cancelled: bool = False
    """Replaced by an empty transaction, because the contract would refuse the call by now."""


class Outbox:
    """The pending transactions of all accounts on one chain; `path` None: in memory only.

    Every method raises StorageUnavailable if the file is locked or its disk full or read-only: then
    nothing may be sent. A damaged file is set aside: whether a transaction is on its way is then
    known by the node's pending nonce alone.
    """

    def __init__(self, chain: str, path: Path | None) -> None:
        """`chain`: hash of its first block."""
        self._chain = chain
        self._path = path
        self._db: sqlite3.Connection | None = None

    def load(self, account: str) -> list[Pending]:
        """By nonce."""
        if self._path is None or (self._db is None and not self._path.exists()):
            return []

        def loaded(db: sqlite3.Connection) -> list[Pending]:
            rows = db.execute(
                "SELECT content FROM transactions WHERE chain = ? AND account = ? ORDER BY nonce",
                (self._chain, account),
            )
            return [self._decoded(content) for (content,) in rows.fetchall()]

        return self._with_file(loaded)

    def save(self, account: str, pending: Pending) -> None:
        """Before it is broadcast."""
        row = (self._chain, account, pending.nonce, _encoded(pending))
        self._with_file(
            lambda db: db.execute("INSERT OR REPLACE INTO transactions VALUES (?, ?, ?, ?)", row)
        )

    def drop(self, account: str, nonce: int) -> None:
        which = "chain = ? AND account = ? AND nonce = ?"
        self._with_file(
            lambda db: db.execute(
                f"DELETE FROM transactions WHERE {which}", (self._chain, account, nonce)
            )
        )

    def close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _with_file(self, use: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the file; once more with a new one if it turns out to be damaged."""
        try:
            with explained(f"outbox {self._path}", self._damaged):
                return use(self._opened())
        except StateDamaged as error:
            self.close()
            if self._path is None:
                raise
            set_aside(self._path)
            log.warning("%s: kept as %s.damaged", error, self._path.name)
            with explained(f"outbox {self._path}", self._damaged):
                return use(self._opened())

    def _opened(self) -> sqlite3.Connection:
        """Opened at the first use: whoever only reads the chain needs no file."""
        if self._db is None:
            try:
                if self._path is not None:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageUnavailable(f"outbox {self._path}: {error.strerror}") from error
            # The sender's locks serialise all use within the process.
            db = connect(self._path or ":memory:", timeout=LOCK_TIMEOUT, threads=True)
            try:
                problem = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
                if problem != "ok":
                    raise self._damaged(str(problem))
                db.executescript(_SCHEMA)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _decoded(self, content: str) -> Pending:
        try:
            return _decoded(content)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, detail: str) -> StateDamaged:
        return StateDamaged(f"outbox {self._path} was damaged ({detail})")


def _encoded(pending: Pending) -> str:
    call = pending.call
    kept = {
        "call": [call.to, call.data.hex(), call.value, call.action],
        "nonce": pending.nonce,
        "gas": pending.gas,
        "max_fee": pending.max_fee,
        "tip": pending.tip,
        "legacy": pending.legacy,
        "signed_at": pending.signed_at,
        "raw": pending.raw.hex(),
        "hashes": pending.hashes,
        "purpose": pending.purpose,
        "cancelled": pending.cancelled,
    }
    return json.dumps(kept)


def _decoded(content: str) -> Pending:
    kept = json.loads(content)
    to, data, value, action = kept.pop("call")
    raw = bytes.fromhex(kept.pop("raw"))
    return Pending(call=Call(to, bytes.fromhex(data), value, action), raw=raw, **kept)
