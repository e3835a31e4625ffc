"""Signed transactions that are not mined yet, on disk: so that none is sent twice after a crash."""

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpact.chain.records import Call

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
    """The pending transactions of all accounts on one chain; `path` None: in memory only."""

    def __init__(self, chain: str, path: Path | None) -> None:
        """`chain`: hash of its first block."""
        self._chain = chain
        self._path = path
        self._db: sqlite3.Connection | None = None

    def load(self, account: str) -> list[Pending]:
        """By nonce."""
        if self._path is None or (self._db is None and not self._path.exists()):
            return []
        rows = self._opened().execute(
            "SELECT content FROM transactions WHERE chain = ? AND account = ? ORDER BY nonce",
            (self._chain, account),
        )
        return [_decoded(content) for (content,) in rows]

    def save(self, account: str, pending: Pending) -> None:
        """Before it is broadcast."""
        self._opened().execute(
            "INSERT OR REPLACE INTO transactions VALUES (?, ?, ?, ?)",
            (self._chain, account, pending.nonce, _encoded(pending)),
        )

    def drop(self, account: str, nonce: int) -> None:
        self._opened().execute(
            "DELETE FROM transactions WHERE chain = ? AND account = ? AND nonce = ?",
            (self._chain, account, nonce),
        )

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _opened(self) -> sqlite3.Connection:
        """Opened at the first use: whoever only reads the chain needs no file."""
        if self._db is None:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            # The sender's locks serialise all use within the process.
            self._db = sqlite3.connect(
                self._path or ":memory:",
                isolation_level=None,
                timeout=10,
                check_same_thread=False,
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_SCHEMA)
        return self._db


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
