"""Runs commands in this process, in an empty folder, without the user's own settings."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from fedpact.cli.main import run
from tests.offchain.cli.commandline import Cli, Result


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FEDPACT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*arguments: object) -> Result:
        given: Sequence[str] = [str(argument) for argument in arguments]
        with pytest.raises(SystemExit) as end:
            run(list(given))
        printed = capsys.readouterr()
        return Result(int(end.value.code or 0), printed.out, printed.err)

    return call
