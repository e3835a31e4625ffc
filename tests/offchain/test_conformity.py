"""docs/conformity.md names only paths that exist and commands that are understood."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedpact.cli.main import app as product
from lab.command import app as laboratory

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "conformity.md").read_text()
PATH = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|sol|toml))`")
COMMAND = re.compile(r"`((?:fedpact|python -m lab) [^`]+)`")
TOP_FOLDERS = ("lab/", "contracts/", "docs/", "tests/")
STUDIES = {path.stem for path in (ROOT / "lab").glob("*/*.toml")}


@pytest.mark.parametrize("path", sorted(set(PATH.findall(PAGE))))
def test_every_path_exists(path: str) -> None:
    base = ROOT if path.startswith(TOP_FOLDERS) else ROOT / "offchain" / "fedpact"
    assert (base / path).is_file()


@pytest.mark.parametrize(
    "line", sorted({" ".join(found.split()) for found in COMMAND.findall(PAGE)})
)
def test_every_command_is_understood(line: str) -> None:
    program, *words = shlex.split(line.removeprefix("python -m "))
    options = [word for word in words if word.startswith("--")]
    app = product if program == "fedpact" else laboratory
    named = words[: words.index(options[0])] if options else words
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*named, "--help"])
    assert shown.exit_code == 0, shown.output
    assert all(option in shown.output for option in options)
    if (program, words[0]) == ("lab", "run"):
        assert set(named[1:]) <= STUDIES
