"""The documented exit codes are those of the errors."""

from pathlib import Path

import pytest

from fedpact import errors
from fedpact.errors import FedpactError
from scripts import exit_codes
from tests.offchain.cli.commandline import Cli


def test_the_documented_table_matches_the_errors() -> None:
    assert exit_codes.main(["--check"]) == 0


def test_a_stale_table_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "exit-codes.md"
    stale.write_text(exit_codes.DOCUMENT.read_text().replace("| 21 |", "| 91 |"))
    monkeypatch.setattr(exit_codes, "DOCUMENT", stale)

    assert exit_codes.main(["--check"]) == 1
    assert exit_codes.main([]) == 0
    assert exit_codes.main(["--check"]) == 0


def test_retryable_errors_have_codes_from_twenty_on() -> None:
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, FedpactError):
            assert (error.exit_code >= 20) == issubclass(error, errors.Retryable)


def test_debug_prints_a_traceback_and_keeps_the_exit_code(cli: Cli) -> None:
    short = cli("registrar", "list")
    long = cli("--debug", "registrar", "list")

    assert len(short.err.splitlines()) == 1
    assert "Traceback" in long.err
    assert short.code == long.code == errors.DeploymentError.exit_code
