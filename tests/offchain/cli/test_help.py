"""Every command explains itself, with an example that the command line itself accepts."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from fedpact.cli.main import app
from tests.offchain.cli.commandline import Cli

HEAVY = ("torch", "sklearn", "pandas", "scipy", "dp_accounting", "web3", "numpy")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


ALL = sorted(commands(typer.main.get_command(app)))


def example_of(text: str) -> str:
    found = re.search(r"Example: (.*?)(\n\n|\nOptions:|\nArguments:)", text, re.DOTALL)
    assert found is not None
    # The help's wrapping breaks at spaces and after hyphens.
    return re.sub(r"-\s*\n\s*", "-", found[1]).replace("\n", " ")


def test_every_role_has_its_commands() -> None:
    for path in [
        ("account", "new"),
        ("audit",),
        ("demo",),
        ("deploy",),
        ("devnet", "up"),
        ("provider", "privacy", "export"),
        ("provider", "serve"),
        ("register",),
        ("registrar", "voucher"),
        ("request", "answer"),
        ("request", "create"),
    ]:
        assert path in ALL


def test_no_summary_in_a_list_of_commands_is_cut_off(cli: Cli) -> None:
    for path in {one[:length] for one in ALL for length in range(len(one))}:
        assert "..." not in cli(*path, "--help").out.partition("Commands:")[2], path


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_shows_an_example_of_the_command(cli: Cli, path: tuple[str, ...]) -> None:
    result = cli(*path, "--help")

    assert result.code == 0
    words = shlex.split(example_of(result.out))
    assert words[0] == "fedpact"
    assert " ".join(path) in " ".join(words)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_example_uses_only_existing_options(path: tuple[str, ...], cli: Cli) -> None:
    words = shlex.split(example_of(cli(*path, "--help").out))
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    command: Any = root
    for name in path:
        command = command.commands[name]
    known = {option for owner in (root, command) for one in owner.params for option in one.opts}

    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize(
    "path", [path for path in ALL if path[-1] in ("list", "status", "show", "audit")], ids=" ".join
)
def test_listings_are_available_as_json(cli: Cli, path: tuple[str, ...]) -> None:
    assert "--json" in cli(*path, "--help").out


def test_help_loads_no_heavy_library() -> None:
    program = (
        "import sys; from fedpact.cli.main import run\n"
        "try: run(['--help'])\n"
        f"finally: print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "LOADED []" in done.stdout


def test_the_version_is_printed(cli: Cli) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", cli("--version").out)
