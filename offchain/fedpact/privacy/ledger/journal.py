"""The ledger's journal: what was charged, made and published, each entry chained to the one before.

An entry's hash is SHA-256 over the hash before it and the entry's canonical JSON, and starts from
the digest of FIRST. So an older copy, or an entry that was changed or taken out, shows.

Kinds of entries, and their fields besides `kind` and `at` (Unix seconds):

* `charge`: `charge` (16 random bytes, hex: the same in every copy of this ledger), `deployment`
  (hex), `request`, `round`, `event` (null: nothing is charged), `filter`, `units` (how many),
  `datasets`, `requester`, `source` (`own`, or `chain` for a release that another ledger made).
* `refund`: `charge`, of a release that was never published.
* `keep`, `publish`: `deployment`, `request`, `round`; of `keep` also `digest` (hex).
* `foreign`: a submission on chain that was not made here; fields as `keep`.
* `import`: `head` (hex), of the journal that was merged.
"""

import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

from fedpact.privacy.lifetime_budget import Filter, Spend
from fedpact.privacy.releases import decode_event
from fedpact.types.document import canonical_json

FIRST = sha256(b"fedpact privacy journal 1").digest()
TABLE = (
    "CREATE TABLE journal (sequence INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash BLOB NOT NULL)"
)

Entry = dict[str, Any]


def append(db: sqlite3.Connection, kind: str, **fields: Any) -> None:
    """Add an entry, inside the caller's transaction."""
    sequence, before = head(db)
    entry = canonical_json({"kind": kind, "at": int(time.time()), **fields})
    db.execute(
        "INSERT INTO journal VALUES (?, ?, ?)",
        (sequence + 1, entry.decode(), chained(before, entry)),
    )


def head(db: sqlite3.Connection) -> tuple[int, bytes]:
    """Number of entries, and the hash of the last one."""
    row = db.execute("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1").fetchone()
    return (0, FIRST) if row is None else (int(row[0]), bytes(row[1]))


def hash_at(db: sqlite3.Connection, sequence: int) -> bytes | None:
    """The hash of an entry, from 1; None if there are fewer."""
    if sequence == 0:
        return FIRST
    row = db.execute("SELECT hash FROM journal WHERE sequence = ?", (sequence,)).fetchone()
    return None if row is None else bytes(row[0])


def entries(db: sqlite3.Connection) -> list[Entry]:
    """All, in order. Raises ValueError, saying where, if the chain is broken."""
    found, before = [], FIRST
    rows = db.execute("SELECT sequence, entry, hash FROM journal ORDER BY sequence")
    for number, (sequence, entry, kept) in enumerate(rows, 1):
        before = chained(before, entry.encode())
        if sequence != number or before != kept:
            raise ValueError(f"entry {number} of its journal does not follow from the one before")
        found.append(json.loads(entry))
    return found


def chained(before: bytes, entry: bytes) -> bytes:
    """The hash of an entry."""
    return sha256(before + entry).digest()


def charges(journal: Iterable[Entry]) -> dict[str, Entry]:
    """The charges that were not refunded, by their identifiers."""
    found: dict[str, Entry] = {}
    for entry in journal:
        if entry["kind"] == "charge":
            found[entry["charge"]] = entry
        elif entry["kind"] == "refund":
            found.pop(entry["charge"], None)
    return found


def cost_of(charge: Entry) -> Spend:
    """What each unit of a charge was charged."""
    if charge["event"] is None:
        return Spend.nothing()
    return replace(
        Spend.of(decode_event(json.dumps(charge["event"]))), filter=Filter(charge["filter"])
    )
