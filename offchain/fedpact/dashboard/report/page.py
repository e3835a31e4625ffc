"""A report as one HTML file that asks nobody for anything."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from fedpact.dashboard.links import Links
from fedpact.dashboard.report.view import ReportView
from fedpact.dashboard.web.filters import install
from fedpact.errors import SettingsError

HERE = Path(__file__).parent.parent
SCRIPTS = ("vendor/chart.umd.min.js", "charts.js")
STYLE = "style.css"
MOST_ROWS = 300
"""Rows of a table; the JSON file has all."""
MOST_LABELS = 30
"""Up to which the confusion matrix is shown."""


def page(view: ReportView, links: Links) -> str:
    """The whole file. Its policy allows the scripts and the style that it carries, and nothing
    from anywhere else. Raises SettingsError where the chart library has not been built."""
    scripts, style = [_asset(one) for one in SCRIPTS], _asset(STYLE)
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)
    install(environment, links)
    return environment.get_template("report.html").render(
        report=view,
        view=view.request,
        policy=_policy(scripts, style),
        # Both are the product's own files, without an end tag of their element.
        scripts=[Markup(one) for one in scripts],
        style=Markup(style),
        MOST_ROWS=MOST_ROWS,
        MOST_LABELS=MOST_LABELS,
    )


def _asset(name: str) -> str:
    try:
        return (HERE / "static" / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{name} is missing: run `make setup` in the checkout") from error


def _policy(scripts: list[str], style: str) -> str:
    """Content-Security-Policy (CSP level 3, section 2.3.1: hash sources)."""
    allowed = " ".join(map(_source, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_source(style)};"
        " base-uri 'none'; form-action 'none'"
    )


def _source(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
