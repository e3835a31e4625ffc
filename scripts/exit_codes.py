"""Writes the table of docs/exit-codes.md from the errors; --check only compares.

`python -m scripts.exit_codes [--check]`
"""

import inspect
import sys
from pathlib import Path

from fedpact import errors
from fedpact.cli.main import INTERRUPTED
from fedpact.errors import FedpactError

DOCUMENT = Path(__file__).parents[1] / "docs" / "exit-codes.md"
MARK = "<!-- table: written by scripts/exit_codes.py -->\n"


def rendered() -> str:
    """The table, one code a row; errors that share one are named together."""
    found: dict[int, list[type[FedpactError]]] = {}
    for error in vars(errors).values():
        if inspect.isclass(error) and issubclass(error, FedpactError):
            found.setdefault(error.exit_code, []).append(error)
    rows = ["| code | error | meaning |", "| ---: | --- | --- |", "| 0 | | Done. |"]
    for code in sorted(found):
        names = ", ".join(f"`{error.__name__}`" for error in found[code])
        rows.append(f"| {code} | {names} | {_meaning(found[code][0])} |")
    rows.append(f"| {INTERRUPTED} | | Interrupted by Ctrl-C. |")
    return "\n".join(rows) + "\n"


def _meaning(error: type[FedpactError]) -> str:
    return " ".join((inspect.getdoc(error) or "").split("\n\n")[0].split())


def document() -> str:
    """The document with its table as it should be."""
    head, mark, _ = DOCUMENT.read_text(encoding="utf-8").partition(MARK)
    return head + mark + "\n" + rendered()


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        if DOCUMENT.read_text(encoding="utf-8") == document():
            return 0
        print(f"{DOCUMENT} is stale: run python -m scripts.exit_codes", file=sys.stderr)
        return 1
    DOCUMENT.write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
