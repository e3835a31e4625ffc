import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedpact.content.embedded_store import STAGING_SECONDS, EmbeddedStore
from fedpact.errors import ContentMismatch, ContentMissing, ContentTooLarge, StoreUnreachable
from fedpact.types.cid import Cid

CONTENT = b"a model"
WRITER = """
import sys
from fedpact.content.embedded_store import EmbeddedStore
store = EmbeddedStore(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    print(store.put(number.to_bytes(8, "big") * int(sys.argv[4])), flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "store")


def item(store: EmbeddedStore, cid: Cid) -> Path:
    return store._content / str(cid)


def writer(folder: Path, first: int, last: int, size: int) -> subprocess.Popen[str]:
    offchain = Path(__file__).parents[3] / "offchain"
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), str(last), str(size // 8)],
        env=os.environ | {"PYTHONPATH": str(offchain)},
        stdout=subprocess.PIPE,
        text=True,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000))
def test_stored_content_is_read_back(store: EmbeddedStore, data: bytes) -> None:
    cid = store.put(data)
    assert cid == Cid.of(data)
    assert store.has(cid)
    assert store.get(cid, len(data)) == data


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145])
def test_content_at_the_chunk_boundaries_is_read_back(store: EmbeddedStore, size: int) -> None:
    data = os.urandom(size)
    assert store.get(store.put(data), size) == data


def test_content_outlives_the_store_object(store: EmbeddedStore, tmp_path: Path) -> None:
    cid = store.put(CONTENT)
    store.close()
    assert EmbeddedStore(tmp_path / "store").get(cid, 100) == CONTENT


def test_missing_content_is_said_to_be_missing(store: EmbeddedStore) -> None:
    cid = Cid.of(b"never stored")
    assert not store.has(cid)
    with pytest.raises(ContentMissing, match=str(cid)):
        store.get(cid, 100)
    with pytest.raises(ContentMissing):
        store.pin(cid)


def test_tampered_content_is_refused_and_mended_by_the_next_put(store: EmbeddedStore) -> None:
    cid = store.put(CONTENT)
    item(store, cid).write_bytes(b"A model")
    with pytest.raises(ContentMismatch, match=str(cid)):
        store.get(cid, 100)
    store.put(CONTENT)
    assert store.get(cid, 100) == CONTENT


def test_damaged_content_is_missing_once_it_was_read(store: EmbeddedStore) -> None:
    """As long as the file stayed, nobody who owed it saw that anything was wrong."""
    cid = store.put(CONTENT)
    item(store, cid).write_bytes(b"A model")
    with pytest.raises(ContentMismatch):
        store.get(cid, 100)
    assert not store.has(cid)


def test_damaged_content_is_named_to_a_reader_who_may_not_write(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> int:
        raise PermissionError("the lock cannot be opened")

    cid = store.put(CONTENT)
    item(store, cid).write_bytes(b"A model")
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(ContentMismatch):
        store.get(cid, 100)


def test_content_cut_short_is_refused(store: EmbeddedStore) -> None:
    cid = store.put(CONTENT)
    item(store, cid).write_bytes(CONTENT[:-1])
    with pytest.raises(ContentMismatch):
        store.get(cid, 100)


def test_oversized_content_is_refused_without_being_read(store: EmbeddedStore) -> None:
    cid = store.put(CONTENT)
    # Sparse: reading it whole would take a terabyte of memory.
    os.truncate(item(store, cid), 1 << 40)
    with pytest.raises(ContentTooLarge, match="7 allowed"):
        store.get(cid, len(CONTENT))


def test_a_limit_of_the_exact_size_is_enough_and_one_byte_less_is_not(store: EmbeddedStore) -> None:
    cid = store.put(CONTENT)
    assert store.get(cid, len(CONTENT)) == CONTENT
    with pytest.raises(ContentTooLarge):
        store.get(cid, len(CONTENT) - 1)


def test_collecting_keeps_pinned_content(store: EmbeddedStore) -> None:
    kept, dropped = store.put(b"kept"), store.put(b"dropped")
    store.unpin(dropped)
    store.unpin(dropped)
    assert store.has(dropped)
    assert store.collect_garbage() == 1
    assert store.has(kept)
    assert not store.has(dropped)


def test_pinning_again_keeps_content(store: EmbeddedStore) -> None:
    cid = store.put(CONTENT)
    store.unpin(cid)
    store.pin(cid)
    assert store.collect_garbage() == 0
    assert store.get(cid, 100) == CONTENT


def test_collecting_removes_leftovers_of_dead_writers_only(
    store: EmbeddedStore,
) -> None:
    dead, live = store._staging / "dead", store._staging / "live"
    dead.touch()
    live.touch()
    long_ago = time.time() - STAGING_SECONDS - 1
    os.utime(dead, (long_ago, long_ago))
    store.collect_garbage()
    assert not dead.exists()
    assert live.exists()


def test_a_writer_killed_while_it_writes_leaves_nothing_half_written(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    size = 40_000_000
    child = writer(tmp_path / "store", 0, 100, size)
    assert child.stdout is not None
    acknowledged = Cid.parse(child.stdout.readline().strip())
    while not [*store._staging.iterdir(), *store._content.iterdir()][1:]:
        time.sleep(0.0005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    listed = [Cid.parse(path.name) for path in store._content.iterdir()]
    assert acknowledged in listed
    for cid in listed:
        assert len(store.get(cid, size)) == size


def test_two_processes_and_a_collector_share_a_folder(store: EmbeddedStore, tmp_path: Path) -> None:
    # The ranges overlap: both writers store numbers 2 to 5.
    size = 2_000_000
    children = [writer(tmp_path / "store", first, first + 6, size) for first in (0, 2)]
    while any(child.poll() is None for child in children):
        assert store.collect_garbage() == 0
        time.sleep(0.01)
    for child in children:
        output, _ = child.communicate()
        assert child.returncode == 0
        for line in output.split():
            assert store.get(Cid.parse(line), size)
    assert len(list(store._content.iterdir())) == 8


def test_a_folder_that_cannot_be_made_is_an_unreachable_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnreachable, match="file"):
        EmbeddedStore(tmp_path / "file" / "store")


def test_a_folder_that_went_away_is_an_unreachable_store(store: EmbeddedStore) -> None:
    store.check()
    store._staging.rmdir()
    with pytest.raises(StoreUnreachable, match="No such file"):
        store.check()
    with pytest.raises(StoreUnreachable, match="cannot be written"):
        store.put(CONTENT)
