from pathlib import Path

import pytest

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.ipfs_store import IpfsStore
from fedpact.content.store_address import open_store
from fedpact.errors import InvalidInput
from fedpact.types.cid import Cid


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_paths_and_file_uris_open_the_same_embedded_store(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "with space"
    cid = EmbeddedStore(folder).put(b"here")
    uri = form.format(folder if form == "{}" else str(folder).replace(" ", "%20"))
    assert open_store(uri).get(cid, 10) == b"here"


def test_http_opens_a_kubo_rpc_without_touching_it() -> None:
    store = open_store("http://127.0.0.1:1", timeout=1)
    assert isinstance(store, IpfsStore)
    store.close()


@pytest.mark.parametrize("uri", ["", "ftp://host/x", "s3://bucket", "file://elsewhere/x"])
def test_other_store_addresses_are_refused(uri: str) -> None:
    with pytest.raises(InvalidInput, match="content store"):
        open_store(uri)


def test_all_implementations_compute_the_same_cid(tmp_path: Path) -> None:
    assert open_store(str(tmp_path)).put(b"x") == Cid.of(b"x")


def test_several_addresses_open_one_store_over_all(tmp_path: Path) -> None:
    cid = open_store(str(tmp_path / "a"), str(tmp_path / "b")).put(b"here")
    assert all(open_store(str(tmp_path / name)).has(cid) for name in "ab")


def test_no_message_shows_what_an_address_carries() -> None:
    with pytest.raises(InvalidInput, match="ftp://host") as refused:
        open_store("ftp://user:secret@host/x")
    assert "secret" not in str(refused.value)


def credentials(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "credentials.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ('["http://h:1"]\ntoken = "s3cret"', 0o644, "others can read it: chmod 600"),
        ('["http://h:1"]\ntoken = s3cret', 0o600, "not a TOML file"),
        ('["http://h:1"]\nuser = "u"', 0o600, "give a token, or a user and a password"),
        ('["http://h:1"]\ntoken = "s3cret"\nuser = "u"', 0o600, "give a token"),
        ('["http://u:s3cret@h:1"]\nkey = "s3cret"', 0o600, "http://h:1"),
        ('["http://h:1"]\ntoken = 3', 0o600, "token"),
    ],
)
def test_bad_credentials_are_refused_and_not_shown(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    path = credentials(tmp_path, text, mode)
    with pytest.raises(InvalidInput, match=said) as refused:
        open_store("http://h:1", credentials=path)
    assert "s3cret" not in str(refused.value)


def test_missing_credentials_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        open_store("http://h:1", credentials=tmp_path / "none")
