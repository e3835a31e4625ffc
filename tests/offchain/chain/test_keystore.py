"""Key stores on disk, and the secrets derived from an account's key."""

import json
import logging
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import SealedBox

from fedpact.chain import keystore
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import KeyStoreError

CHEAP = 2**12
"""Opening a store at full cost takes a second."""
KEY = "0x" + "4c" * 32


@pytest.fixture
def keys(tmp_path: Path) -> AccountKeys:
    return keystore.create_account(tmp_path, "correct horse", "alice", scrypt_cost=CHEAP)


def test_created_account_opens_with_its_password_by_name_and_by_address(
    tmp_path: Path, keys: AccountKeys
) -> None:
    assert keystore.unlock(tmp_path, "alice", "correct horse").address == keys.address
    assert keystore.unlock(tmp_path, keys.address.lower(), "correct horse").address == keys.address


def test_wrong_password_is_refused(tmp_path: Path, keys: AccountKeys) -> None:
    with pytest.raises(KeyStoreError, match="wrong password for account alice"):
        keystore.unlock(tmp_path, "alice", "correct house")


def test_unknown_account_names_those_that_are_there(tmp_path: Path, keys: AccountKeys) -> None:
    with pytest.raises(KeyStoreError, match=r"no account bob in .* \(it holds: alice\)"):
        keystore.unlock(tmp_path, "bob", "correct horse")


def test_missing_folder_holds_no_accounts(tmp_path: Path) -> None:
    assert keystore.list_accounts(tmp_path / "none") == []


def test_damaged_store_is_refused(tmp_path: Path, keys: AccountKeys) -> None:
    path = tmp_path / "alice.json"
    path.write_text(path.read_text().replace('"kdf"', '"fdk"'))
    with pytest.raises(KeyStoreError, match="damaged"):
        keystore.unlock(tmp_path, "alice", "correct horse")


def test_the_store_is_private_and_has_no_plain_key(tmp_path: Path, keys: AccountKeys) -> None:
    path = tmp_path / "alice.json"
    assert path.stat().st_mode & 0o077 == 0
    assert keys.signer.key.hex() not in path.read_text()
    assert [stored.name for stored in keystore.list_accounts(tmp_path)] == ["alice"]
    assert list(tmp_path.iterdir()) == [path]


def test_store_that_others_may_read_is_warned_about(
    tmp_path: Path, keys: AccountKeys, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "alice.json").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        keystore.unlock(tmp_path, "alice", "correct horse")
    assert "other users can read" in caplog.text


def test_taken_name_is_refused_and_the_first_store_stays(tmp_path: Path, keys: AccountKeys) -> None:
    with pytest.raises(KeyStoreError, match="already exists"):
        keystore.create_account(tmp_path, "other", "alice", scrypt_cost=CHEAP)
    assert keystore.unlock(tmp_path, "alice", "correct horse").address == keys.address
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["../alice", "", ".hidden", "a/b", "a" * 65])
def test_a_name_that_is_not_a_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyStoreError, match="cannot name an account"):
        keystore.create_account(tmp_path, "secret", name, scrypt_cost=CHEAP)


def test_empty_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="empty password"):
        keystore.create_account(tmp_path, "", scrypt_cost=CHEAP)


def test_imported_key_keeps_its_address_and_is_imported_once(tmp_path: Path) -> None:
    keys = keystore.import_account(tmp_path, KEY, "secret", scrypt_cost=CHEAP)
    assert keys.address == Account.from_key(KEY).address
    with pytest.raises(KeyStoreError, match="already holds account"):
        keystore.import_account(tmp_path, KEY, "secret", "again", scrypt_cost=CHEAP)


def test_message_about_a_bad_key_does_not_show_it(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError) as caught:
        keystore.import_account(tmp_path, "4c" * 31, "secret", scrypt_cost=CHEAP)
    assert "4c4c" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_password_comes_from_file_then_environment_then_prompt(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from file\n")
    environment = {"FEDPACT_PASSWORD": "from environment"}
    assert keystore.read_password(file, lambda: "asked", environment) == "from file"
    assert keystore.read_password(None, lambda: "asked", environment) == "from environment"
    assert keystore.read_password(None, lambda: "asked", {}) == "asked"
    with pytest.raises(KeyStoreError, match="FEDPACT_PASSWORD"):
        keystore.read_password(None, None, {})
    with pytest.raises(KeyStoreError, match="password file"):
        keystore.read_password(tmp_path / "none", None, {})


def test_a_mark_that_editors_of_windows_put_first_is_no_part_of_a_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from file\r\n", encoding="utf-8-sig")
    assert keystore.read_password(file) == "from file"


def test_repr_does_not_show_the_key() -> None:
    keys = AccountKeys(Account.from_key(KEY))
    assert "4c4c" not in repr(keys)


def test_derived_secrets_are_the_same_every_time_and_known() -> None:
    """Fixed values: a change would lose everybody's salts and encryption keys."""
    keys = AccountKeys(Account.from_key(KEY))
    assert keys.derive("vote-salt", b"\x01", b"\x02").hex() == (
        "b590a96654febf53e0d037fc05671f976beb2925e007dce6c0d4e4644b87261a"
    )
    assert bytes(keys.encryption_key().public_key).hex() == (
        "20070dafb652d22d2aec148bee5170b12c7ddb9960a38c45b682be28ba180224"
    )


@given(
    st.lists(
        st.tuples(st.text(max_size=5), st.lists(st.binary(max_size=5))), min_size=2, max_size=2
    )
)
def test_other_purpose_or_context_gives_another_secret(
    uses: list[tuple[str, list[bytes]]],
) -> None:
    keys = AccountKeys(Account.from_key(KEY))
    (purpose, context), (other_purpose, other_context) = uses
    equal = keys.derive(purpose, *context) == keys.derive(other_purpose, *other_context)
    assert equal == (uses[0] == uses[1])


def test_encryption_keys_of_two_versions_open_only_their_own_seals() -> None:
    keys = AccountKeys(Account.from_key(KEY))
    first, second = keys.encryption_key(1), keys.encryption_key(2)
    assert bytes(first) != bytes(second)
    sealed = SealedBox(second.public_key).encrypt(b"key")
    assert SealedBox(keys.encryption_key(2)).decrypt(sealed) == b"key"


def as_cast_writes(tmp_path: Path, **changes: object) -> Path:
    """`cast wallet import`: no extension, no address; some versions write the version as text."""
    keystore.import_account(tmp_path, KEY, "secret", "made", scrypt_cost=CHEAP)
    made = json.loads((tmp_path / "made.json").read_text())
    (tmp_path / "made.json").unlink()
    del made["address"]
    path = tmp_path / "deployer"
    path.write_text(json.dumps({**made, **changes}))
    return path


@pytest.mark.parametrize("version", [3, "3"])
def test_a_store_of_cast_is_opened_by_its_name(tmp_path: Path, version: object) -> None:
    as_cast_writes(tmp_path, version=version)
    [stored] = keystore.list_accounts(tmp_path)
    assert (stored.name, stored.address) == ("deployer", None)
    opened = keystore.unlock(tmp_path, "deployer", "secret")
    assert opened.address == Account.from_key(KEY).address


def test_a_store_of_geth_is_opened_by_its_address(tmp_path: Path) -> None:
    path, address = as_cast_writes(tmp_path), Account.from_key(KEY).address
    made = {**json.loads(path.read_text()), "address": address[2:].lower()}
    path.unlink()
    name = f"UTC--2026-01-01T00-00-00.000000000Z--{address[2:].lower()}"
    (tmp_path / name).write_text(json.dumps(made))
    assert keystore.unlock(tmp_path, address, "secret").address == address
    assert [stored.name for stored in keystore.list_accounts(tmp_path)] == [name]


def test_a_password_is_changed_and_nothing_else(tmp_path: Path, keys: AccountKeys) -> None:
    keystore.change_password(tmp_path, "alice", "correct horse", "battery", scrypt_cost=CHEAP)
    with pytest.raises(KeyStoreError, match="wrong password"):
        keystore.unlock(tmp_path, "alice", "correct horse")
    assert keystore.unlock(tmp_path, keys.address, "battery").address == keys.address
    assert [path.name for path in tmp_path.iterdir()] == ["alice.json"]
    with pytest.raises(KeyStoreError, match="empty password"):
        keystore.change_password(tmp_path, "alice", "battery", "", scrypt_cost=CHEAP)
