"""Runs `python -m lab` in this process, in an empty folder, without the user's data folder."""

import os
from pathlib import Path

import pytest

from lab.__main__ import run
from tests.lab.command import Ended, Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lab:
    for name in [name for name in os.environ if name.startswith("FEDPACT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ended(int(end.value.code or 0), printed.out, printed.err)

    return call
