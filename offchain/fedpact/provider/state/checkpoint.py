"""The daemon's checkpoint: one SQLite file, bound to one deployment and one account.

It holds the events read from the chain, the decision on each request, and the votes cast. Except
for the reasons of decisions and what transactions have cost, everything can be read or computed
again: a lost file costs time, not money (salts are derived from the account's key, and noised
models are in the ledger).
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from fedpact.chain.records import Frame
from fedpact.chain.scanner import CHECKPOINTS
from fedpact.closing import Closing
from fedpact.provider.state.file import StateFile
from fedpact.provider.state.messages import Said
from fedpact.types.deployment import Deployment

log = logging.getLogger(__name__)

_KNOWN = (
    "SELECT 1 FROM events WHERE block = ? AND log_index = ? AND name = ? AND request IS ?"
    " AND args = ?"
)


class Participation(StrEnum):
    """How this provider takes part in a request."""

    NEW = "new"
    DECLINED = "declined"
    JOINED = "joined"
    FINISHED = "finished"


@dataclass(frozen=True)
class CastVote:
    """A vote as it was (or will be) committed: scores by seat, and the scorer's record."""

    scores: dict[int, int]
    record: dict[str, Any]


class ProviderState(Closing):
    """The daemon's SQLite file. Opened and failing as `StateFile` says."""

    def __init__(
        self, path: Path, deployment: Deployment, account: str, *, rebuild: bool = False
    ) -> None:
        """`rebuild`: whether to start over if the file is damaged; for the daemon alone."""
        self._versions: Counter[int | str | None] = Counter()
        """Changes by request and by name of event; None: of all."""
        self._first = deployment.block
        identity = {"deployment": deployment.fingerprint.hex(), "account": account}
        rebuilt = False
        if rebuild:
            self._file, rebuilt = StateFile.opened_or_rebuilt(path, identity)
        else:
            self._file = StateFile(path, identity)
        if rebuilt:
            self._say_rebuilt()
        self.said = Said(self._file)
        """The signed messages of rounds."""

    def close(self) -> None:
        self._file.close()

    def rebuild(self) -> None:
        """Set a damaged file aside and start over: all events must be read again."""
        self._file.rebuild()
        self._versions[None] += 1
        self._say_rebuilt()

    def check_writable(self) -> None:
        """Raises StorageUnavailable if nothing can be stored now."""
        self._set_meta("probe", str(int(time.time())))

    def _say_rebuilt(self) -> None:
        log.warning(
            "state file %s was damaged: it is kept as %s.damaged and rebuilt from the chain",
            self._file.path,
            self._file.path.name,
        )

    # ------------------------------------------------------------------ chain facts

    @property
    def block(self) -> int:
        """Last block whose events are stored."""
        return int(self._meta("block") or self._first - 1)

    @property
    def block_hash(self) -> str:
        """Hash of that block; empty before the first scan."""
        return self._meta("block_hash") or ""

    def ends(self) -> list[Frame]:
        """The last blocks of the ranges that were read, oldest first (without their times)."""
        rows = self._file.rows("SELECT block, hash FROM ends ORDER BY block")
        return [Frame(int(block), str(block_hash), 0) for block, block_hash in rows]

    def ingest(
        self,
        events: Iterable[tuple[int, int, str, dict[str, Any]]],
        block: int,
        block_hash: str,
        first: int | None = None,
    ) -> set[int]:
        """Replace what is known of blocks `first` (None: the next) to `block`, and all later ones;
        the requests of which an event was not known.

        `events`: (block, log index, name, arguments), also of earlier blocks. The checkpoint moves
        in the same transaction: all or nothing. What a reorganisation took away goes with it:
        events, requests, votes, and that a request had ended.
        """
        stored = set[int | str | None]()
        with self._file.transaction():
            forgotten = self._forget(self.block + 1 if first is None else first)
            for at, index, name, args in events:
                request = request_of(args)
                row = (at, index, name, request, json.dumps(args, default=_hex))
                if self._file.rows(_KNOWN, row):
                    continue
                stored |= {name} if request is None else {name, request}
                self._file.change("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)", row)
                if name == "RequestCreated":
                    self._file.change(
                        "INSERT OR IGNORE INTO requests (id, standing, reason) VALUES (?, ?, '')",
                        (request, Participation.NEW),
                    )
            if forgotten:
                self._drop_orphans()
            self._set_meta("block", str(block))
            self._set_meta("block_hash", block_hash)
            if block_hash:
                self._file.change("INSERT OR REPLACE INTO ends VALUES (?, ?)", (block, block_hash))
                self._file.change(
                    "DELETE FROM ends WHERE block NOT IN"
                    f" (SELECT block FROM ends ORDER BY block DESC LIMIT {CHECKPOINTS})"
                )
        self._versions.update({None} if forgotten else stored)
        return {one for one in stored if isinstance(one, int)}

    def _forget(self, first: int) -> bool:
        self._file.change("DELETE FROM ends WHERE block >= ?", (first,))
        self._file.change(
            "UPDATE requests SET standing = ? WHERE standing = ?"
            " AND id IN (SELECT request FROM events WHERE block >= ?)",
            (Participation.NEW, Participation.FINISHED, first),
        )
        return self._file.change("DELETE FROM events WHERE block >= ?", (first,)) > 0

    def _drop_orphans(self) -> None:
        """Requests without a creation, and votes in them: another request may get the number."""
        created = "(SELECT request FROM events WHERE name = 'RequestCreated')"
        self._file.change(f"DELETE FROM requests WHERE id NOT IN {created}")
        self._file.change("DELETE FROM votes WHERE request NOT IN (SELECT id FROM requests)")

    def version(self, *of: int | str) -> int:
        """Grows whenever events of these requests, or of these names, may have changed."""
        return sum(self._versions[one] for one in (None, *of))

    def events(self, request: int, name: str) -> list[dict[str, Any]]:
        """Arguments of a request's events of one name, oldest first; bytes as 0x hex."""
        rows = self._file.rows(
            "SELECT args FROM events WHERE request = ? AND name = ? ORDER BY block, log_index",
            (request, name),
        )
        return [self._file.decoded(args) for (args,) in rows]

    def events_of(self, request: int) -> list[tuple[str, dict[str, Any]]]:
        """(name, arguments) of all events of a request, oldest first."""
        rows = self._file.rows(
            "SELECT name, args FROM events WHERE request = ? ORDER BY block, log_index", (request,)
        )
        return [(name, self._file.decoded(args)) for name, args in rows]

    def events_named(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """(name, arguments) of the events of these names, of all requests, oldest first."""
        rows = self._file.rows(
            f"SELECT name, args FROM events WHERE name IN ({', '.join('?' * len(names))})"
            " ORDER BY block, log_index",
            names,
        )
        return [(name, self._file.decoded(args)) for name, args in rows]

    # ------------------------------------------------------------------ ended requests

    def forgettable(self, before: int, most: int) -> list[int]:
        """At most so many requests in which this provider has no duty, and whose events are all of
        blocks before `before`, with more of them than that of the creation."""
        rows = self._file.rows(
            "SELECT request FROM events WHERE request IS NOT NULL AND request NOT IN"
            " (SELECT id FROM requests WHERE standing IN (?, ?))"
            " GROUP BY request HAVING max(block) < ? AND max(name != 'RequestCreated') LIMIT ?",
            (Participation.NEW, Participation.JOINED, before, most),
        )
        return [int(request) for (request,) in rows]

    def forget_events(self, request: int, submitted: Mapping[int, bytes]) -> None:
        """Keep of an ended request its creation, the decision, the sum of the costs, and the own
        submissions, `submitted`: digests by round."""
        with self._file.transaction():
            for round_, digest in submitted.items():
                self._file.change(
                    "INSERT OR REPLACE INTO submitted VALUES (?, ?, ?)", (request, round_, digest)
                )
            cost = self.cost(request)
            for table in ("votes", "costs"):
                self._file.change(f"DELETE FROM {table} WHERE request = ?", (request,))
            if cost:
                self.add_cost(request, cost)
            self._file.change(
                "DELETE FROM events WHERE request = ? AND name != 'RequestCreated'", (request,)
            )
        self._versions[None] += 1

    def give_back(self) -> None:
        """Make the file smaller by what has been forgotten."""
        self._file.give_back()

    def submitted(self, request: int) -> dict[int, bytes]:
        """The own submissions in a request whose events are forgotten: digests by round."""
        rows = self._file.rows("SELECT round, digest FROM submitted WHERE request = ?", (request,))
        return {int(round_): bytes(digest) for round_, digest in rows}

    # ------------------------------------------------------------------ decisions

    def open_requests(self) -> list[tuple[int, Participation]]:
        """Requests in which this provider may still have a duty."""
        rows = self._file.rows(
            "SELECT id, standing FROM requests WHERE standing IN (?, ?) ORDER BY id",
            (Participation.NEW, Participation.JOINED),
        )
        return [(int(i), Participation(s)) for i, s in rows]

    def all_requests(self) -> list[tuple[int, Participation, str]]:
        rows = self._file.rows("SELECT id, standing, reason FROM requests ORDER BY id")
        return [(int(i), Participation(s), reason) for i, s, reason in rows]

    def decide(self, request: int, standing: Participation, reason: str) -> None:
        self._file.change(
            "UPDATE requests SET standing = ?, reason = ? WHERE id = ?",
            (standing, reason, request),
        )

    def choose(self, request: int, data: str) -> None:
        """Note with which data set a request is joined: the chain does not know it."""
        self._file.change_durably("UPDATE requests SET data = ? WHERE id = ?", (data, request))

    def chosen(self, request: int) -> str:
        """The name of the data set with which a request was joined; empty if none was noted."""
        rows = self._file.rows("SELECT data FROM requests WHERE id = ?", (request,))
        return str(rows[0][0]) if rows else ""

    # ------------------------------------------------------------------ costs

    def add_cost(self, request: int, wei: int) -> None:
        """Note what a transaction for a request has cost."""
        self._file.change("INSERT INTO costs VALUES (?, ?)", (request, str(wei)))

    def cost(self, request: int) -> int:
        """Wei paid for a request's transactions."""
        rows = self._file.rows("SELECT wei FROM costs WHERE request = ?", (request,))
        return sum(int(wei) for (wei,) in rows)

    # ------------------------------------------------------------------ votes

    def vote(self, request: int, round_: int) -> CastVote | None:
        rows = self._file.rows(
            "SELECT scores, record FROM votes WHERE request = ? AND round = ?", (request, round_)
        )
        for cast, record in rows:
            scores = {int(seat): int(score) for seat, score in self._file.decoded(cast).items()}
            return CastVote(scores, self._file.decoded(record))
        return None

    def save_vote(self, request: int, round_: int, vote: CastVote) -> None:
        self._file.change(
            "INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)",
            (request, round_, json.dumps(vote.scores), json.dumps(vote.record)),
        )

    def _meta(self, key: str) -> str | None:
        rows = self._file.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def _set_meta(self, key: str, value: str) -> None:
        self._file.change("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def request_of(args: Mapping[str, Any]) -> int | None:
    """The request that an event is of; None: of none."""
    found = args.get("request")
    return None if found is None else int(found)


def _hex(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    raise TypeError(f"cannot store a {type(value).__name__}")
