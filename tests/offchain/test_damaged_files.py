"""Files that people write, hand over or lose half of: whatever is in them gives one clear error.

A policy saved in another encoding ended a daemon that was told to read it again.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact import settings
from fedpact.chain import deployment_file, keystore
from fedpact.content.credentials import read_credentials
from fedpact.dashboard.web.login import token_of
from fedpact.errors import FedpactError
from fedpact.operator.devnet import RECORD, stop
from fedpact.operator.participants import register
from fedpact.provider.ledger.passport_file import import_passport
from fedpact.provider.policy import Policy
from fedpact.requester import model_file
from fedpact.requester.draft import Draft
from fedpact.requester.gifts import read_gift
from fedpact.requester.slice_keys import read_slice_keys
from fedpact.types.schema import DataSchema

DEEP = 20_000
"""Levels; parsers that call themselves give up long before."""
CONTENTS = {
    "nothing": b"",
    "another encoding": "# Grüße\n".encode("latin-1"),
    "no text": bytes(range(256)),
    "lists without end": b"[" * DEEP,
    "a TOML list without end": b"a = " + b"[" * DEEP,
    "tables without end": b'{"a":' * DEEP,
    "a number without end": b"a = " + b"9" * 5_000,
    "a JSON number without end": b'{"format": ' + b"9" * 5_000 + b"}",
    "no table": b"null",
    "an infinite number": b'{"format": 1e400, "block": 1e400}',
}
KEYS: Any = SimpleNamespace(address="0xaa", encryption_key=lambda: None)


def read_model(path: Path) -> object:
    facts = model_file.facts_path(path.with_suffix(".safetensors"))
    path.rename(facts)
    return model_file.specification(path.with_suffix(".safetensors"))


def unlock(path: Path) -> object:
    return keystore.unlock(path.parent, path.stem, "password")


def devnet(path: Path) -> object:
    path.rename(path.with_name(RECORD))
    return stop(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "settings": settings.load,
    "policy": Policy.read,
    "schema": DataSchema.read,
    "draft.toml": lambda path: Draft.read(path).specification,
    "draft.json": lambda path: Draft.read(path).specification,
    "deployment": deployment_file.load,
    "key store.json": unlock,
    "credentials": read_credentials,
    "voucher": lambda path: register(None, None, KEYS, path),  # type: ignore[arg-type]
    "passport": lambda path: import_passport(path.parent, KEYS, path),
    "slice keys": read_slice_keys,
    "gift": read_gift,
    "model": read_model,
    "devnet": devnet,
}
MAY_BE_EMPTY = {"settings", "credentials"}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_a_file_holds_is_one_clear_error(reader: str, tmp_path: Path) -> None:
    for number, (name, content) in enumerate(CONTENTS.items()):
        if name == "nothing" and reader in MAY_BE_EMPTY:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / reader
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(FedpactError) as refused:
            READERS[reader](path)
        assert len(str(refused.value)) < 1_000, name


def test_a_password_in_another_encoding_is_one_clear_error(tmp_path: Path) -> None:
    """Its message shows no part of it."""
    path = tmp_path / "password"
    path.write_bytes("geheim-ü".encode("latin-1"))
    with pytest.raises(FedpactError, match="UTF-8") as refused:
        keystore.read_password(path)
    assert "0xfc" not in str(refused.value)


def test_a_token_in_another_encoding_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(bytes(range(200, 250)))
    with pytest.raises(FedpactError, match="UTF-8"):
        token_of(tmp_path)


@pytest.mark.parametrize("name", ["state", "store", "deployment"])
def test_the_folder_of_a_user_who_does_not_exist_is_one_clear_error(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "fedpact.toml"
    path.write_text(f'{name} = "~nobody-here/folder"\n')
    with pytest.raises(FedpactError, match=name):
        settings.load(path)
    with pytest.raises(FedpactError, match=name):
        settings.load(None, {name: "~nobody-here/folder"})


def test_a_policy_allows_no_training_more_than_a_system_can_limit(tmp_path: Path) -> None:
    """Each training failed where the limit was set."""
    path = tmp_path / "policy.toml"
    path.write_text(f"max_training_memory_mb = {10**30}\n")
    with pytest.raises(FedpactError, match="max_training_memory_mb"):
        Policy.read(path)


def test_a_mark_that_editors_of_windows_put_first_harms_no_file(tmp_path: Path) -> None:
    policy, credentials = tmp_path / "policy.toml", tmp_path / "credentials.toml"
    policy.write_text("max_rounds = 200\n", encoding="utf-8-sig")
    credentials.write_text('["http://10.0.0.7:5001"]\ntoken = "t"\n', encoding="utf-8-sig")
    credentials.chmod(0o600)
    assert Policy.read(policy).max_rounds == 200
    assert list(read_credentials(credentials)) == ["http://10.0.0.7:5001"]
