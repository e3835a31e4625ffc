"""How results are printed: a Rich table for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import Console

    from fedpact.types.currency import Currency

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


PIPE_WIDTH = 1_000
"""Characters of a line that is not shown on a terminal."""

Plain = Annotated[
    bool, typer.Option("--plain", help="Print plain lines where a terminal would show a live view.")
]


def live_console(*, plain: bool) -> "Console | None":
    """The terminal for a live view; None where lines are printed instead: to a file or pipe, on a
    terminal that cannot move its cursor, or if `plain` lines are asked for."""
    if plain or not sys.stdout.isatty():
        return None  # without rich: a daemon under a service manager spares its 2 MB
    from rich.console import Console

    console = Console()
    return None if console.is_dumb_terminal else console


def ether(wei: int) -> str:
    """Wei as ether, exact, without trailing zeros."""
    from eth_utils.currency import from_wei

    return f"{from_wei(wei, 'ether'):f}"


def amount(name: str, value: int, currency: "Currency", *, as_json: bool) -> dict[str, Any]:
    """An amount as a column: its text for people; for programs the number of smallest units, the
    symbol, and the token's address, None for ether."""
    if not as_json:
        return {name: currency.text(value)}
    from fedpact.types.requests import ETHER

    token = None if currency.token == ETHER else currency.token
    return {name: value, "currency": currency.symbol, "token": token}


def print_json(value: Any, indent: int | None = 2) -> None:
    typer.echo(json.dumps(value, indent=indent, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Write an output file; raises InvalidInput if that fails."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """One line per row, or `empty` if there is none. All rows have the same keys."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console = Console(soft_wrap=True)
    if not console.is_terminal:  # A file or pipe gets a line for each row, however long.
        console.width = PIPE_WIDTH
    console.print(table)


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """One fact per line."""
    if as_json:
        print_json(facts)
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(part) for part in value) or "-"
    return str(value)
