"""Content that may be nowhere, looked for beside the cycle."""

import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fedpact.content import fetching
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.content.pin_register import PinRegister
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.errors import ContentMissing, StoreUnreachable
from fedpact.types.cid import Cid
from tests.support.waiting import PATIENCE, wait_until

NOWHERE, HERE, HUNG = (Cid.of(name) for name in (b"nowhere", b"here", b"hung"))


class Slow:
    """Says what it is asked for; one item holds it up until it is let go."""

    def __init__(self) -> None:
        self.asked: list[Cid] = []
        self.go = threading.Event()

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.asked.append(cid)
        if cid != HERE and cid != NOWHERE:
            self.go.wait(PATIENCE)
        if cid != HERE:
            raise ContentMissing("nowhere")
        return b"here"

    def another(self) -> "Slow":
        return self

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def store() -> Any:
    found = Slow()
    yield found
    found.go.set()


def test_what_was_missing_waits_behind_what_was_never_looked_for(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content that nobody has is looked for again and again, half a minute each time on an IPFS
    node: others' content must not queue behind it."""
    monkeypatch.setattr(fetching, "AT_ONCE", 1)
    found = Fetching(store, 5.0)
    with pytest.raises(ContentMissing):
        found.take(1, NOWHERE, 10)
    for cid in (HUNG, NOWHERE, HERE):
        found.begin(1, cid, 10)
    store.go.set()
    wait_until(lambda: found.take(1, HERE, 10) == b"here", "it was not found")
    wait_until(lambda: len(store.asked) == 4, "what was missing is not looked for again")
    assert store.asked == [NOWHERE, HUNG, HERE, NOWHERE]
    found.close()


def test_a_request_with_content_that_is_nowhere_holds_up_no_other(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its members named sixteen items that the store looked for half a minute each, and nothing of
    any other request was read meanwhile."""
    monkeypatch.setattr(fetching, "AT_ONCE", 4)
    monkeypatch.setattr(fetching, "MOST", 8)
    found = Fetching(store, 5.0)
    for hostile in (1, 2):
        for number in range(20):
            found.begin(hostile, Cid.of(b"%d" % number), 10)
    wait_until(lambda: len(store.asked) == 8, "what may be looked for at once is not")
    assert found.take(3, HERE, 10) is None  # there is no room, for this once
    store.go.set()
    wait_until(lambda: found.take(3, HERE, 10) == b"here", "it was not found")
    assert store.asked.index(HERE) < 16  # before the 32 that waited longer
    found.close()


def test_what_is_missing_again_and_again_leaves_half_of_the_room_to_what_is_new(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST", 4)
    found = Fetching(store, 5.0)
    missing = [Cid.of(b"%d" % number) for number in range(4)]
    store.go.set()
    for number, cid in enumerate(missing):
        with pytest.raises(ContentMissing):
            found.take(number, cid, 10)
    store.go.clear()
    for number, cid in enumerate(missing):
        found.begin(number, cid, 10)
    wait_until(lambda: found.take(9, HERE, 10) == b"here", "it found no room")
    assert not store.go.is_set()
    found.close()


def test_what_the_daemon_puts_waits_for_nothing_that_others_name(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four new requests named sixteen absent items each: models and aggregates of all others were
    published late, and of the request itself too."""
    monkeypatch.setattr(fetching, "AT_ONCE", 2)
    monkeypatch.setattr(fetching, "MOST", 4)
    monkeypatch.setattr(store, "put", lambda data: HERE, raising=False)
    found = Fetching(store, 5.0)
    for hostile in (1, 2):
        for number in range(20):
            found.begin(hostile, Cid.of(b"%d" % number), 10)
    wait_until(lambda: len(store.asked) == 4, "what may be looked for at once is not")
    for request in (1, 2, 3):
        assert found.put(request, b"here") == HERE
    assert not store.go.is_set()
    assert len(store.asked) == 4
    found.close()


def test_puts_that_hang_hold_up_nothing_that_is_read(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are few at once: each has a thread and its content in memory."""
    putting: list[bytes] = []

    def put(data: bytes) -> Cid:
        putting.append(data)
        store.go.wait(PATIENCE)
        return Cid.of(data)

    monkeypatch.setattr(fetching, "MOST_PUTS", 2)
    monkeypatch.setattr(store, "put", put, raising=False)
    found = Fetching(store, 0.0)
    for number in range(5):
        assert found.put(number, b"%d" % number) is None
    wait_until(lambda: found.take(0, HERE, 10) == b"here", "it found no room")
    wait_until(lambda: len(putting) == 2, "what may be put at once is not")
    store.go.set()
    wait_until(lambda: found.put(4, b"4"), "it is not put")
    found.close()


def test_a_store_that_never_answers_the_daemon_itself_is_told_of_once(
    store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A hard mount that hangs: what was lost was not put again, and nobody heard of it."""
    found = Fetching(store, 0.0)
    ask = partial(found.found, fetching.ITSELF, "hung", lambda one: one.get(HUNG, 10))
    assert ask() is None
    found.tidy()
    assert not caplog.messages
    monkeypatch.setattr(fetching, "SILENT_SECONDS", 0.0)
    for _ in range(3):
        assert ask() is None
        found.tidy()
    [said] = caplog.messages
    assert "has not answered" in said
    found.close()


def test_what_is_taken_is_forgotten_and_was_read_once(store: Any) -> None:
    """Each item was read to see that it is there, read again, and remembered for good."""
    found = Fetching(store, 5.0)
    for request in range(100):
        found.begin(request, HERE, 10)
        assert found.take(request, HERE, 10) == b"here"
    assert store.asked == [HERE] * 100
    assert not found._searches
    wait_until(lambda: not found._running, "its threads go on")
    found.close()


def test_what_nobody_asks_for_any_more_is_forgotten(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "KEPT_SECONDS", 0.0)
    monkeypatch.setattr(fetching, "AT_ONCE", 1)
    found = Fetching(store, 0.0)
    for cid in (HUNG, NOWHERE, HERE):
        found.begin(1, cid, 10)
    found.tidy()
    assert not found._searches
    assert not found._waiting
    store.go.set()
    wait_until(lambda: not found._running, "its threads go on")
    assert store.asked == [HUNG]
    found.close()


@pytest.mark.parametrize("waited", [False, True])
def test_an_old_failure_counts_for_who_waited_for_it_alone(
    store: Any, monkeypatch: pytest.MonkeyPatch, waited: bool
) -> None:
    """What was begun ahead, and was nowhere then, may be there once it is needed."""
    monkeypatch.setattr(fetching, "FRESH_SECONDS", 0.0)
    found = Fetching(store, 0.0)
    found.begin(1, HUNG, 10)
    if waited:
        assert found.take(1, HUNG, 10) is None
    store.go.set()
    wait_until(lambda: found._searches[1, HUNG].failed is not None, "it was not looked for")
    monkeypatch.setattr(store, "get", lambda *_: b"here")
    if waited:
        with pytest.raises(ContentMissing):
            found.take(1, HUNG, 10)
    wait_until(lambda: found.take(1, HUNG, 10) == b"here", "it is not looked for again")
    found.close()


def test_what_is_put_is_kept_at_once_and_stored_beside_the_cycle(tmp_path: Path) -> None:
    """A store that took half a minute for a put held up the duties of all requests as long."""

    class Deaf(EmbeddedStore):
        go = threading.Event()

        def put(self, data: bytes) -> Cid:
            self.go.wait(PATIENCE)
            return super().put(data)

        def another(self) -> "Deaf":
            return Deaf(self._folder)

    with PinRegister(tmp_path / "pins.sqlite") as register:
        store, copies = Deaf(tmp_path / "store"), EmbeddedStore(tmp_path / "copies")
        found = Fetching(KeptStore(store, register, copies, bytes(32)), 0.0)
        with keeping_for(7):
            assert found.put(7, b"here") is None
        assert copies.has(HERE)
        assert register.owed(now=0) == {HERE}
        assert not store.has(HERE)
        Deaf.go.set()
        wait_until(lambda: found.put(7, b"here") == HERE, "it is not stored")
        assert store.has(HERE)
        found.close()


def test_a_put_that_failed_is_tried_again(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [StoreUnreachable("full")]

    def put(_: bytes) -> Cid:
        if refused:
            raise refused.pop()
        return HERE

    monkeypatch.setattr(store, "put", put, raising=False)
    found = Fetching(store, 5.0)
    with pytest.raises(StoreUnreachable):
        found.put(1, b"here")
    assert found.put(1, b"here") == HERE
    found.close()


def test_what_others_name_is_read_and_stored_once(tmp_path: Path) -> None:
    with PinRegister(tmp_path / "pins.sqlite") as register:
        store, copies = EmbeddedStore(tmp_path / "store"), EmbeddedStore(tmp_path / "copies")
        store.put(b"here")
        store.unpin(HERE)
        found = Fetching(KeptStore(store, register, copies, bytes(32)), 5.0)
        with keeping_for(7):
            assert found.is_pinned(7, HERE, 10)
        assert store.collect_garbage() == 0  # it is pinned
        assert register.past(now=0) == {}
        register.end(bytes(32).hex(), 7, 0)
        assert register.past(now=1) == {HERE: 4}
        assert not found._searches
        found.close()


def test_what_the_store_has_lost_is_found_in_the_copies(tmp_path: Path) -> None:
    """The threads that fetch had the bare store, so that a daemon did not find what it keeps."""
    with PinRegister(tmp_path / "pins.sqlite") as register:
        store, copies = EmbeddedStore(tmp_path / "store"), EmbeddedStore(tmp_path / "copies")
        store.put(b"here")
        copies.put(b"nowhere")
        found = Fetching(KeptStore(store, register, copies, bytes(32)), 5.0)
        with keeping_for(7):
            assert found.take(7, NOWHERE, 10) == b"nowhere"
            assert found.take(7, HERE, 10) == b"here"
        assert copies.has(HERE)
        assert register.owed(now=0) == {NOWHERE, HERE}
        found.close()
