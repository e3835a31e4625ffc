"""What the index holds, as typed values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fedpact.chain.bindings.events import (
    Paid,
    PurchaseRefunded,
    RequestCreated,
    RequestEvent,
    ResaleClaimed,
    request_event,
)
from fedpact.chain.records import Event, Frame
from fedpact.chain.signed_messages import LargeRecord, RoundRecord
from fedpact.dashboard.index.tables import IndexFile, unpacked
from fedpact.dashboard.story import ClosedPool, Records, RequestStory
from fedpact.errors import NotReady, SpecificationError, UnknownRequest
from fedpact.types.cid import Cid
from fedpact.types.requests import PoolMember
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

_EVENT = "block, log_index, tx, time, contract, name, args"


@dataclass(frozen=True)
class Transaction:
    """A mined transaction that emitted events of these contracts."""

    hash: str
    block: int
    sender: str
    action: str
    """The function that it called; empty for one of another contract."""
    gas: int
    fee: int
    """Wei."""


@dataclass(frozen=True)
class ListedPayment:
    """An amount that an account earned, or got back from a market. A maker may have its share of
    sales sent to somebody else."""

    time: int
    request: int
    token: str
    amount: int
    sale: bool
    """Of the result's sale to others, not of the request."""
    returned: bool
    """The account's own money: what was left of its request, or the price of a purchase without a
    key."""
    credited: bool
    """Kept for withdrawal, since the account did not take it."""
    transaction: str


@dataclass(frozen=True)
class DescribedRequest:
    """A specification, or why there is none to show."""

    cid: str
    spec: Specification | None
    problem: str


def specification_cid(created: RequestCreated) -> Cid:
    return Cid.of_digest(created.terms.specification, SPECIFICATION_MAX_BYTES)


class Index:
    """Read-only; for one thread."""

    def __init__(self, file: IndexFile) -> None:
        self.file = file

    # ------------------------------------------------------------------ requests

    def story(self, request: int) -> RequestStory:
        """Raises UnknownRequest."""
        events = self._request_events("request = ?", (request,))
        if not events or not isinstance(events[0], RequestCreated):
            raise UnknownRequest(f"there is no request {request} on this chain")
        return RequestStory(tuple(events), self._records(request), self.pool(request))

    def described(self, created: RequestCreated) -> DescribedRequest:
        cid = str(specification_cid(created))
        rows = self.file.rows("SELECT body, problem FROM contents WHERE cid = ?", (cid,))
        if not rows:
            return DescribedRequest(cid, None, "it has not been fetched yet")
        body, problem = rows[0]
        if body is None:
            return DescribedRequest(cid, None, str(problem))
        try:
            return DescribedRequest(cid, Specification.decode(bytes(body)), "")
        except SpecificationError as error:
            return DescribedRequest(cid, None, str(error))

    def request_ids(self) -> list[int]:
        return [int(one) for (one,) in self.file.rows("SELECT id FROM requests ORDER BY id")]

    def requests_of(self, account: str) -> list[int]:
        """Requests that an account published or joined."""
        query = (
            "SELECT id FROM requests WHERE requester = ?1 UNION"
            " SELECT request FROM members WHERE account = ?1 ORDER BY 1"
        )
        return [int(one) for (one,) in self.file.rows(query, (account,))]

    def made_by(self, account: str) -> set[int]:
        """Requests that an account published."""
        query = "SELECT id FROM requests WHERE requester = ?"
        return {int(one) for (one,) in self.file.rows(query, (account,))}

    def payments_to(self, account: str) -> list[ListedPayment]:
        """By the market and for results sold, oldest first."""
        found = self._request_events(
            "name IN ('Paid', 'ResaleClaimed', 'PurchaseRefunded') AND (block, log_index) IN"
            " (SELECT block, log_index FROM mentions WHERE account = ?)",
            (account,),
        )
        made = self.made_by(account)
        tokens = self._tokens({one.request for one in found if not isinstance(one, Paid)})
        payments = (_payment(one, account, made, tokens) for one in found)
        return [one for one in payments if one is not None]

    def _tokens(self, requests: set[int]) -> dict[int, str]:
        """In which requests pay and their results are sold."""
        query = (
            "SELECT id, json_extract(row, '$.token') FROM requests"
            " WHERE id IN (SELECT value FROM json_each(?))"
        )
        return dict(self.file.rows(query, (json.dumps(sorted(requests)),)))

    # ------------------------------------------------------------------ events

    def events_named(self, *names: str) -> list[Event]:
        marks = ", ".join("?" * len(names))
        return self._events(f"name IN ({marks})", names)

    def events_about(self, account: str) -> list[Event]:
        """All events that name an account, oldest first."""
        return self._events(
            "(block, log_index) IN (SELECT block, log_index FROM mentions WHERE account = ?)",
            (account,),
        )

    def requests_in(self, txs: list[str]) -> tuple[set[int], bool]:
        """The requests of transactions' events, and whether any event belongs to none."""
        marks = ", ".join("?" * len(txs))
        rows = self.file.rows(f"SELECT DISTINCT request FROM events WHERE tx IN ({marks})", txs)
        return {int(one) for (one,) in rows if one is not None}, (None,) in rows

    def events_in(self, tx: str) -> list[Event]:
        """All events of a transaction."""
        return self._events("tx = ?", (tx,))

    def transaction(self, tx: str) -> Transaction | None:
        rows = self.file.rows("SELECT * FROM transactions WHERE hash = ?", (tx,))
        return _transaction(rows[0]) if rows else None

    def transactions_for(self, request: int) -> dict[str, Transaction]:
        """Those with events of a request, by hash."""
        query = "SELECT * FROM transactions WHERE hash IN (SELECT tx FROM events WHERE request = ?)"
        return {str(row[0]): _transaction(row) for row in self.file.rows(query, (request,))}

    def transactions_of(self, sender: str) -> list[tuple[int, Transaction]]:
        """With their times, oldest first."""
        query = (
            "SELECT (SELECT time FROM events WHERE tx = hash LIMIT 1), transactions.*"
            " FROM transactions WHERE sender = ? ORDER BY block"
        )
        rows = self.file.rows(query, (sender,))
        return [(int(time or 0), _transaction(tuple(row))) for time, *row in rows]

    def count_events(self) -> int:
        return int(self.file.rows("SELECT count(*) FROM events")[0][0])

    def head(self) -> tuple[int, int]:
        """The last block read and its time; zeros before the first."""
        return int(self.file.meta("block") or 0), int(self.file.meta("time") or 0)

    def frame(self) -> Frame:
        """The last block read: what is asked of a node besides is asked as of it. Raises NotReady
        before the first."""
        rows = self.file.rows("SELECT block, hash FROM ends ORDER BY block DESC LIMIT 1")
        if not rows:
            raise NotReady("the index has not read the chain yet")
        [(block, named)] = rows
        return Frame(int(block), str(named), self.head()[1])

    def _events(self, where: str, values: Iterable[Any]) -> list[Event]:
        query = f"SELECT {_EVENT} FROM events WHERE {where} ORDER BY block, log_index"
        return [_event(row) for row in self.file.rows(query, values)]

    def _request_events(self, where: str, values: Iterable[Any]) -> list[RequestEvent]:
        found = (request_event(event) for event in self._events(where, values))
        return [one for one in found if one is not None]

    def _records(self, request: int) -> Records:
        query = (
            "SELECT tx, hash, body FROM records WHERE tx IN"
            " (SELECT tx FROM events WHERE request = ? AND name = 'RoundPosted')"
        )
        rows = self.file.rows(query, (request,))
        return {(str(tx), bytes.fromhex(named)): _record(body) for tx, named, body in rows}

    def pool(self, request: int) -> ClosedPool | None:
        """The closed pool of a request that has started; None before."""
        rows = self.file.rows("SELECT body FROM pools WHERE request = ?", (request,))
        if not rows:
            return None
        members, left = unpacked(rows[0][0])
        return ClosedPool(tuple(PoolMember(*one) for one in members), tuple(left))


def _payment(
    one: RequestEvent, account: str, made: set[int], tokens: dict[int, str]
) -> ListedPayment | None:
    """None for what went to somebody else. `made`: the account's own requests."""
    at, request = one.at, one.request
    if isinstance(one, Paid) and one.account == account:
        kind = (False, request in made, one.credited)
        return ListedPayment(at.timestamp or 0, request, one.token, one.amount, *kind, at.tx_hash)
    if isinstance(one, ResaleClaimed) and one.maker == account:
        kind = (True, False, False)
    elif isinstance(one, PurchaseRefunded) and one.buyer == account:
        kind = (True, True, False)
    else:
        return None
    return ListedPayment(at.timestamp or 0, request, tokens[request], one.amount, *kind, at.tx_hash)


def _event(row: tuple[Any, ...]) -> Event:
    block, log_index, tx, time, contract, name, args = row
    return Event(name, contract, unpacked(args), block, tx, log_index, time)


def _transaction(row: tuple[Any, ...]) -> Transaction:
    tx, block, sender, action, gas, fee = row
    return Transaction(tx, block, sender, action, gas, int(fee))


def _record(body: str) -> RoundRecord | LargeRecord:
    found = unpacked(body)
    if isinstance(found, dict):
        submissions, evidence, digest, errors, blind = found["large"]
        points = tuple(found["points"])
        return LargeRecord(submissions, evidence, digest, errors, blind, points)
    digests, votes, slice_key, digest, errors = found
    return RoundRecord(tuple(digests), tuple(votes), slice_key, digest, errors)
