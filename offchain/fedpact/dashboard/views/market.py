"""The market: requests open and past, searched, filtered and in pages."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from fedpact.dashboard.index.summary import RequestSummary
from fedpact.dashboard.index.tables import IndexFile
from fedpact.dashboard.views.blocks import View

PAGE = 25


class Which(StrEnum):
    """Which requests a list shows."""

    ALL = "all"
    OPEN = "open"
    """Providers can join."""
    RUNNING = "running"
    """The pool is full or closed, and the money has not been paid out."""
    OVER = "over"


class Order(StrEnum):
    """By what a list is sorted."""

    NEWEST = "newest"
    PAY = "pay"
    PRIVACY = "privacy"


# As RequestSummary.joinable says of one request.
_JOINABLE = (
    "stage = 'open' AND deadline >= ?"
    " AND json_extract(row, '$.joined') < json_extract(row, '$.max_pool')"
)
_OVER = "stage IN ('disputed', 'paid', 'refunded')"
_CONDITIONS = {
    Which.ALL: "1",
    Which.OPEN: _JOINABLE,
    Which.RUNNING: f"NOT ({_OVER}) AND NOT ({_JOINABLE})",
    Which.OVER: _OVER,
}
_ORDERS = {
    Order.NEWEST: "id DESC",
    Order.PAY: "pay DESC, id DESC",
    Order.PRIVACY: "epsilon IS NULL, epsilon, id DESC",
}


class MarketQuery(BaseModel):
    """What a reader asks the market for."""

    model_config = ConfigDict(frozen=True)

    which: Which = Field(Which.ALL, description="Which requests.")
    search: str = Field(
        "", max_length=200, description="Words of title, category, labels, columns."
    )
    category: str = Field("", max_length=100, description="Requests of this category alone.")
    order: Order = Field(Order.NEWEST, description="Newest first, most ether, or least epsilon.")
    page: int = Field(1, ge=1, le=100_000)


class MarketView(View):
    """One page of the list, with how many requests each filter would show."""

    query: MarketQuery
    rows: tuple[RequestSummary, ...]
    matches: int
    pages: int
    counts: dict[str, int]
    """All requests, by what `which` would show."""
    categories: tuple[str, ...]
    """The most common ones, at most 30."""


def market_view(file: IndexFile, query: MarketQuery, now: int, size: int = PAGE) -> MarketView:
    """`now`: of the index's last block. `size`: rows a page; 0: all that match."""
    where, values = _condition(query, now)
    matches = _count(file, where, values)
    limit = f" LIMIT {size} OFFSET {size * (query.page - 1)}" if size else ""
    rows = file.rows(
        f"SELECT row FROM requests WHERE {where} ORDER BY {_ORDERS[query.order]}{limit}", values
    )
    counts = {one.value: _count(file, *_of(one, now)) for one in Which}
    categories = file.rows(
        "SELECT category FROM requests WHERE category != '' GROUP BY category"
        " ORDER BY count(*) DESC, category LIMIT 30"
    )
    return MarketView(
        query=query,
        rows=tuple(RequestSummary.model_validate_json(row) for (row,) in rows),
        matches=matches,
        pages=max(1, -(-matches // size)) if size else 1,
        counts=counts,
        categories=tuple(str(one) for (one,) in categories),
    )


def summaries(file: IndexFile, requests: list[int]) -> tuple[RequestSummary, ...]:
    """Of these requests, the newest first."""
    marks = ", ".join("?" * len(requests))
    rows = file.rows(f"SELECT row FROM requests WHERE id IN ({marks}) ORDER BY id DESC", requests)
    return tuple(RequestSummary.model_validate_json(row) for (row,) in rows)


def _condition(query: MarketQuery, now: int) -> tuple[str, list[object]]:
    which, values = _of(query.which, now)
    parts = [which]
    for word in query.search.lower().split():
        parts.append("instr(search, ?) > 0")
        values.append(word)
    if query.category:
        parts.append("category = ?")
        values.append(query.category)
    return " AND ".join(parts), values


def _of(which: Which, now: int) -> tuple[str, list[object]]:
    condition = _CONDITIONS[which]
    return condition, [now] * condition.count("?")


def _count(file: IndexFile, where: str, values: list[object]) -> int:
    [(count,)] = file.rows(f"SELECT count(*) FROM requests WHERE {where}", values)
    return int(count)
