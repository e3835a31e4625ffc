from pathlib import Path

import pytest

from fedpact.content.embedded import EmbeddedStore
from fedpact.content.ipfs_client import IpfsStore
from fedpact.content.store import open_store
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
