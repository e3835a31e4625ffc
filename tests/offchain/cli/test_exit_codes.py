"""The documented exit codes are those of the errors."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from commandline import Cli

from fedpact import errors
from fedpact.errors import FedpactError

SCRIPT = Path(__file__).parents[3] / "scripts" / "exit_codes.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("exit_codes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_in_the_docs_is_the_one_of_the_errors(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0


def test_a_stale_table_is_found(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "exit-codes.md"
    stale.write_text(script.DOCUMENT.read_text().replace("| 21 |", "| 91 |"))
    monkeypatch.setattr(script, "DOCUMENT", stale)

    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0


def test_retryable_errors_have_codes_from_twenty_on() -> None:
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, FedpactError):
            assert (error.exit_code >= 20) == issubclass(error, errors.Retryable)


def test_debug_shows_the_trace_and_ends_with_the_same_code(cli: Cli) -> None:
    short = cli("registrar", "list")
    long = cli("--debug", "registrar", "list")

    assert len(short.err.splitlines()) == 1
    assert "Traceback" in long.err
    assert short.code == long.code == errors.DeploymentError.exit_code
