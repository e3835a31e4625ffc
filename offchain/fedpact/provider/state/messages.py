"""The signed messages of rounds, in the daemon's state file: what this account has said, for good,
and what it has heard."""

from collections.abc import Callable, Iterable

from fedpact.provider.state.file import StateFile

NAMED = "submission"
"""Of large rounds: a trainer's model, followed by the start that it is for."""
LISTED, SHEET = "list", "sheet"
"""Of large rounds, followed by the start: by which list this account judges, and its scores."""


class Said:
    """A row of `said` is on disk before the signature is made, and never changed or deleted, not
    even where a reorganisation takes the request away: whoever signs two different messages of one
    kind for one round is at fault.
    """

    def __init__(self, file: StateFile) -> None:
        self._file = file

    def may_say(self, request: int, round_: int, kind: str, body: str) -> bool:
        """Whether this account may sign this; from then on it may sign nothing else."""
        at = (request, round_, kind)
        insert = "INSERT OR IGNORE INTO said VALUES (?, ?, ?, ?)"
        self._file.change_durably(insert, (*at, body))
        query = "SELECT body FROM said WHERE request = ? AND round = ? AND kind = ?"
        [(kept,)] = self._file.rows(query, at)
        return bool(kept == body)

    def said(self, request: int, round_: int, kind: str) -> str | None:
        """What this account has signed of a kind; None: nothing."""
        query = "SELECT body FROM said WHERE request = ? AND round = ? AND kind = ?"
        rows = self._file.rows(query, (request, round_, kind))
        return str(rows[0][0]) if rows else None

    def has_named(self, request: int, round_: int, digest: bytes) -> bool:
        """Whether this account has named this model in a large round, in any start."""
        query = "SELECT 1 FROM said WHERE request = ? AND round = ? AND kind LIKE ? AND body = ?"
        at = (request, round_, f"{NAMED} %", digest.hex())
        return bool(self._file.rows(query, at))

    def secrets_of_sum(self, request: int, round_: int, draw: Callable[[], bytes]) -> bytes:
        """What this account has drawn for a round's secure sum: drawn at the first call, on disk
        when it returns, and the same at every later one."""
        query, at = "SELECT secrets FROM sums WHERE request = ? AND round = ?", (request, round_)
        if not self._file.rows(query, at):
            insert = "INSERT OR IGNORE INTO sums VALUES (?, ?, ?)"
            self._file.change_durably(insert, (*at, draw().hex()))
        [(kept,)] = self._file.rows(query, at)
        return bytes.fromhex(kept)

    def hear(self, request: int, round_: int, messages: Iterable[tuple[str, int, str]]) -> None:
        """Keep messages: kind, seat, body with signature; two of a kind and seat are a proof."""
        with self._file.transaction():
            for message in messages:
                insert = "INSERT OR IGNORE INTO heard VALUES (?, ?, ?, ?, ?)"
                self._file.change(insert, (request, round_, *message))

    def heard(self, request: int, round_: int, kinds: Iterable[str]) -> list[str]:
        """The bodies of these kinds kept of a round, in the order in which they came."""
        query = "SELECT kind, body FROM heard WHERE request = ? AND round = ? ORDER BY rowid"
        wanted, rows = set(kinds), self._file.rows(query, (request, round_))
        return [str(body) for kind, body in rows if kind in wanted]

    def of_kind(self, kind: str) -> list[tuple[int, str]]:
        """Requests and bodies of all messages of a kind that are kept."""
        query = "SELECT request, body FROM heard WHERE kind = ? ORDER BY rowid"
        return [(int(request), str(body)) for request, body in self._file.rows(query, (kind,))]

    def forget(self, request: int) -> None:
        """Drop what was heard of a request that is over, and the secrets of its sums."""
        self._file.change("DELETE FROM heard WHERE request = ?", (request,))
        self._file.change("DELETE FROM sums WHERE request = ?", (request,))
