"""The market to try things on writes over nothing, and leaves nothing of a start that failed."""

from pathlib import Path

import pytest

from fedpact.chain.devnet import ANVIL_VARIABLE
from fedpact.demo.playground import playground
from fedpact.errors import FedpactError, InvalidInput

NAMES = (
    *("fedpact.toml", "policy.toml", "machines.schema.toml"),
    *("evaluation.csv", "queries.csv", "market"),
)


@pytest.fixture(autouse=True)
def without_anvil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv(ANVIL_VARIABLE, str(broken))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_users_is_not_overwritten(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(InvalidInput, match=f"{folder} has {name} already"), playground(folder):
        pytest.fail("it started")
    assert [one.name for one in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


def test_a_start_that_failed_can_be_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for _ in range(2):
        with pytest.raises(FedpactError, match="anvil did not start"), playground(folder):
            pytest.fail("it started")
        assert not list(folder.iterdir())
