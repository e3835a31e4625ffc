"""Where the contracts are, and the file that says so."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from fedpact.chain.addresses import created_address
from fedpact.chain.deployment_file import load, load_second, require_writable, save
from fedpact.errors import DeploymentError
from fedpact.types.deployment import Deployment, SecondDeployment
from tests.support.frozen_node import Recording


def test_saved_deployment_is_loaded_as_it_was(tmp_path: Path, deployment: Deployment) -> None:
    path = tmp_path / "new" / "deployment.json"
    save(deployment, path)
    assert load(path) == deployment
    save(deployment, path)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_exists_is_refused_before_anything_is_deployed(
    tmp_path: Path, deployment: Deployment
) -> None:
    path = tmp_path / "deployment.json"
    require_writable(path)
    save(deployment, path)
    with pytest.raises(DeploymentError, match="name another file or remove it"):
        require_writable(path)


def test_a_deployment_of_the_first_protocol_can_be_audited_alone(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(Recording.read().deployment)
    assert load(path).protocol == 1
    with pytest.raises(DeploymentError, match="`fedpact audit` reads them, and nothing else does"):
        load_second(path)


def test_a_deployment_says_which_kind_of_rounds_it_has(
    tmp_path: Path, deployment: SecondDeployment
) -> None:
    """A file of before there were two kinds is of usual ones."""
    path = tmp_path / "deployment.json"
    large = replace(deployment, rounds_kind="large")
    save(large, path)
    assert load(path) == large
    assert "TrainingRounds" not in large.contracts
    assert large.contracts["LargeRounds"] == deployment.contracts["TrainingRounds"]
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "rounds_kind": "huge"}))
    with pytest.raises(DeploymentError, match="rounds_kind is 'huge', neither usual nor large"):
        load(path)
    del facts["rounds_kind"]
    path.write_text(json.dumps(facts))
    assert load(path) == deployment


def test_file_of_another_deployment_is_not_overwritten(
    tmp_path: Path, deployment: Deployment
) -> None:
    path = tmp_path / "deployment.json"
    save(deployment, path)
    other = replace(deployment, genesis_hash="0x" + "ab" * 32)
    with pytest.raises(DeploymentError, match="describes another deployment"):
        save(other, path)
    assert load(path) == deployment
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: json.dumps({**json.loads(text), "chain_id": "31337"}),
        lambda text: json.dumps({**json.loads(text), "more": 1}),
    ],
)
def test_a_file_that_is_not_a_deployment_is_refused(
    tmp_path: Path, deployment: Deployment, damage: object
) -> None:
    path = tmp_path / "deployment.json"
    save(deployment, path)
    assert callable(damage)
    path.write_text(damage(path.read_text()))
    with pytest.raises(DeploymentError, match="is not a deployment file"):
        load(path)


def test_a_full_disk_is_found_before_anything_is_deployed(
    tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All contracts were created, and then their file could not be written; an empty one stayed."""

    def full(path: Path, *_: object, **__: object) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "deployment.json"
    monkeypatch.setattr(Path, "write_text", full)
    for write in (require_writable, lambda path: save(deployment, path)):
        with pytest.raises(DeploymentError, match=r"cannot write .*No space left"):
            write(path)
        assert list(tmp_path.iterdir()) == []


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"no deployment file .*/none\.json: No such file"):
        load(tmp_path / "none.json")


def test_a_folder_that_cannot_be_created_is_reported(
    tmp_path: Path, deployment: Deployment
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeploymentError, match="cannot write"):
        save(deployment, tmp_path / "file" / "deployment.json")


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1))
def test_created_address_is_the_hash_of_creator_and_nonce(creator: bytes, nonce: int) -> None:
    expected = keccak(rlp.encode([creator, nonce]))[-20:]
    assert created_address("0x" + creator.hex(), nonce).lower() == "0x" + expected.hex()
