"""Blocks that several views share: charts, lists of facts, transactions of an account."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from fedpact.dashboard.units import Wei


class View(BaseModel):
    """Base of all views: immutable, and exactly what the JSON API says."""

    model_config = ConfigDict(frozen=True)


class ChartSeries(View):
    """One line or one kind of bar; as many values as the chart has labels."""

    name: str
    values: tuple[float | None, ...]
    dashed: bool = False
    """For what is a limit or a goal."""
    proof: str = ""
    """Transaction that shows the values; empty if they have more than one, or none."""


class Chart(View):
    """A chart as data. Whoever draws it chooses colours and size; `title` and `summary` say in
    words what it shows."""

    kind: Literal["line", "bar", "stacked"]
    title: str
    summary: str
    x: str
    y: str
    labels: tuple[str, ...]
    series: tuple[ChartSeries, ...]
    ceiling: float | None = None
    """Top of the y axis; None: as the values need."""
    horizontal: bool = False
    points: bool = True
    """Whether a line marks its values."""
    proofs: tuple[str, ...] = ()
    """Transaction of each label; empty where there is none."""


class Fact(View):
    """A name with a value, and what proves it."""

    name: str
    value: str
    transaction: str = ""
    cid: str = ""
    account: str = ""
    section: str = ""
    """Of the request's page that has its parts."""


class SentRow(View):
    """A transaction of an account to these contracts."""

    time: int
    action: str
    """The function that it called; empty for one of another contract."""
    gas: int
    fee: Wei
    transaction: str
