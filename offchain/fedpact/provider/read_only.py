"""A provider's own files, read without writing: for programs beside its daemon.

Nothing here takes a lock that a daemon would wait for, makes a file or migrates one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedpact.database import explained
from fedpact.errors import LedgerError, StateDamaged
from fedpact.privacy.lifetime_budget import Spend
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.files import ledger_file, state_file
from fedpact.types.deployment import Deployment

BUSY_SECONDS = 2.0


@dataclass(frozen=True)
class Decision:
    """What the daemon has decided about a request, and why."""

    request: int
    standing: str
    reason: str
    cost: int
    """Wei paid for transactions."""


@dataclass(frozen=True)
class LedgerRelease:
    """One release of the ledger, of whichever deployment."""

    deployment: bytes
    """Fingerprint."""
    request: int
    """0: the published profile."""
    round: int
    event: GaussianRelease | None
    """None: nothing was charged."""
    data_set: str
    charged_at: int


@dataclass(frozen=True)
class LedgerLook:
    """What the privacy ledger says."""

    data_sets: dict[str, Spend]
    units: tuple[Spend, ...]
    """Of the accounts of units."""
    held: tuple[tuple[str, Spend], ...]
    """For running requests, with the data set that each is held of; empty: of all."""
    releases: tuple[LedgerRelease, ...]


def decisions(state: Path, deployment: Deployment, address: str) -> list[Decision]:
    """By request; none if no daemon has run here. Raises StateDamaged, StorageUnavailable."""
    path = state_file(state, deployment, address)
    if not path.exists():
        return []
    with explained(f"state file {path}", StateDamaged), _reading(path) as db:
        costs: dict[int, int] = {}
        for request, wei in db.execute("SELECT request, wei FROM costs"):
            costs[int(request)] = costs.get(int(request), 0) + int(wei)
        rows = db.execute("SELECT id, standing, reason FROM requests ORDER BY id").fetchall()
    return [
        Decision(int(request), str(standing), str(reason), costs.get(int(request), 0))
        for request, standing, reason in rows
    ]


def ledger_look(state: Path, address: str) -> LedgerLook | None:
    """None if nothing was released from here. Raises LedgerError, StorageUnavailable."""
    path = ledger_file(state, address)
    if not path.exists():
        return None
    with explained(f"privacy ledger {path}", LedgerError), _reading(path) as db:
        data_sets = db.execute("SELECT name, spend FROM datasets").fetchall()
        units = db.execute("SELECT spend FROM accounts").fetchall()
        held = db.execute("SELECT dataset, remaining FROM holds").fetchall()
        releases = db.execute(
            "SELECT deployment, request, round, event, dataset, charged_at FROM releases"
            " ORDER BY charged_at"
        ).fetchall()
    try:
        return LedgerLook(
            {str(name): Spend.decode(spend) for name, spend in data_sets},
            tuple(Spend.decode(spend) for (spend,) in units),
            tuple((str(name), Spend.decode(spend)) for name, spend in held),
            tuple(
                LedgerRelease(
                    bytes(deployment),
                    int(request),
                    int(round_),
                    None if event is None else GaussianRelease(**json.loads(event)),
                    str(data_set),
                    int(charged_at),
                )
                for deployment, request, round_, event, data_set, charged_at in releases
            ),
        )
    except (ValueError, TypeError) as error:
        raise LedgerError(f"privacy ledger {path} is corrupt ({error})") from error


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """One consistent view of a file that may be written meanwhile."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as db:
        db.execute("BEGIN")
        yield db
