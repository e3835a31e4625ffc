"""Several stores as one, over folders of which some are lost, damaged or unusable."""

import logging
import shutil
from pathlib import Path

import pytest

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.ipfs_store import IpfsStore
from fedpact.content.replicated_store import ReplicatedStore
from fedpact.errors import ContentMismatch, ContentMissing, ContentTooLarge, StoreUnreachable
from fedpact.types.cid import Cid

DEAD = "http://127.0.0.1:1"
DATA = b"content"
CID = Cid.of(DATA)


@pytest.fixture
def two(tmp_path: Path) -> tuple[EmbeddedStore, EmbeddedStore]:
    return EmbeddedStore(tmp_path / "a"), EmbeddedStore(tmp_path / "b")


def dead() -> IpfsStore:
    return IpfsStore(DEAD, timeout=1, attempts=1)


def test_content_is_written_to_all_and_read_from_any(two, tmp_path):
    store = ReplicatedStore(two)
    assert store.put(DATA) == CID
    shutil.rmtree(tmp_path / "a" / "content")
    assert store.get(CID, 100) == DATA
    assert store.has(CID)


def test_a_dead_store_is_named_and_stops_nothing(two, caplog):
    store = ReplicatedStore([dead(), two[0]])
    with caplog.at_level(logging.WARNING):
        assert store.put(DATA) == CID
    assert DEAD in caplog.text
    assert store.get(CID, 100) == DATA
    store.check()


def test_only_when_all_fail_is_it_an_error():
    store = ReplicatedStore([dead(), dead()])
    for act in (store.check, lambda: store.put(DATA), lambda: store.get(CID, 100)):
        with pytest.raises(StoreUnreachable):
            act()


def test_content_that_may_come_later_is_not_taken_for_damaged(two, tmp_path):
    two[0].put(DATA)
    (tmp_path / "a" / "content" / str(CID)).write_bytes(b"damaged")
    with pytest.raises(ContentMismatch):
        two[0].get(CID, 100)
    with pytest.raises(ContentMissing):
        ReplicatedStore(two).get(CID, 100)
    two[1].put(DATA)
    assert ReplicatedStore(two).get(CID, 100) == DATA


def test_a_limit_holds_in_every_store(two):
    store = ReplicatedStore(two)
    store.put(DATA)
    with pytest.raises(ContentTooLarge):
        store.get(CID, len(DATA) - 1)


def test_pins_and_garbage_are_those_of_all(two):
    store = ReplicatedStore(two)
    store.put(DATA)
    assert store.collect_garbage() == 0
    store.unpin(CID)
    store.pin(CID)
    store.unpin(CID)
    assert store.collect_garbage() == 2
    assert not store.has(CID)
