"""How values look on a page. Jinja escapes all of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from fedpact.dashboard.links import Links
from fedpact.dashboard.units import error_text, ether
from fedpact.dashboard.untrusted_text import plain
from fedpact.dashboard.views.blocks import Chart
from fedpact.dashboard.views.charts import short
from fedpact.types.requests import ETHER
from fedpact.types.scores import INVALID


def install(environment: Environment, links: Links) -> None:
    """Filters and globals of all templates."""
    environment.filters.update(
        ether=ether,
        ether_short=ether_short,
        error=error_text,
        score=score_text,
        short=short,
        utc=utc,
        chart_json=chart_json,
        heat=heat,
        plain=plain,
        raw=raw,
    )
    environment.globals.update(
        tx_url=links.transaction,
        cid_url=links.content,
        account_url=links.account,
        explorer_url=lambda at: f"{links.explorer}/address/{at}" if links.explorer else "",
        standalone=not links.pages,
        root=links.root,
        others=links.others,
        ETHER=ETHER,
        INVALID=INVALID,
    )
    environment.globals["m"] = environment.get_template("macros.html").module


def ether_short(wei: int) -> str:
    """An amount in ether with four significant digits; the exact one is in its title."""
    if wei == 0:
        return "0"
    exact = ether(wei)
    return exact if len(exact) <= 8 else f"{wei / 10**18:.4g}"


def score_text(score: int | None) -> str:
    if score is None:
        return ""
    return "invalid" if score == INVALID else f"{score / 10_000:.4f}"


def utc(time: int) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S") if time else "-"


def heat(score: int | None, ceiling: int) -> int:
    """Of nine shades, the one for a score; 0: none."""
    if score is None or score == INVALID:
        return 0
    return 1 + min(8, 9 * score // max(1, ceiling))


def raw(value: object) -> str:
    """An event's argument as text, bytes as 0x hex."""
    text = json.dumps(value, default=lambda given: "0x" + bytes(given).hex(), ensure_ascii=False)
    return plain(text.strip('"'))


def chart_json(chart: Chart) -> Markup:
    """For a data block of a page: no character of it can end the block."""
    undrawn: Any = {"proofs": True, "series": {"__all__": {"proof"}}}
    text = json.dumps(chart.model_dump(mode="json", exclude=undrawn))
    for one, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(one, code)
    return Markup(text)
