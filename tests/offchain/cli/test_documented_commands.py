"""The commands that README.md, CONTRIBUTING.md and docs/ name exist, and their long options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedpact.cli.main import command

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
"""Not the changelog and the decisions, which name commands of their time."""
BLOCK = re.compile(r"^ *```(?:bash|sh|console)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(fedpact [^`]+)`")


def lines_of(document: Path) -> list[str]:
    """What calls fedpact, in shell blocks and in the text."""
    text = document.read_text()
    blocks = "".join(BLOCK.findall(text)).replace("\\\n", " ")
    found = [line.strip().removeprefix("$ ") for line in blocks.splitlines()]
    found += [" ".join(one.split()) for one in INLINE.findall(text)]
    return sorted({line for line in found if line.startswith("fedpact ")})


def unknown(line: str) -> Iterator[str]:
    """Words of the line that are no command or option."""
    words = iter(shlex.split(re.split(r"\s[>|&]|\s2>", line)[0], comments=True)[1:])
    at: Any = command()
    takes_value = False
    for word in words:
        options = {name: one for one in at.params for name in (*one.opts, *one.secondary_opts)}
        if takes_value:
            takes_value = False
        elif word.startswith("--"):
            name, given, _ = word.partition("=")
            if name == "--help":
                return
            if name not in options:
                yield name
            else:
                takes_value = not given and not options[name].is_flag
        elif hasattr(at, "commands"):
            if word not in at.commands:
                yield word
                return
            at = at.commands[word]


CASES = [(path, line) for path in DOCUMENTS for line in lines_of(path)]


@pytest.mark.parametrize(("document", "line"), CASES, ids=[line for _, line in CASES])
def test_a_documented_command_exists(document: Path, line: str) -> None:
    assert list(unknown(line)) == []


def test_the_walkthrough_and_others_are_read() -> None:
    read = {path.name for path, _ in CASES}
    assert {"walkthrough.md", "operating.md", "privacy.md"} <= read
    assert list(unknown("fedpact request create draft.toml --nothing")) == ["--nothing"]
    assert list(unknown("fedpact request make")) == ["make"]
