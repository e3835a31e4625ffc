"""What an owner keeps, provides again, and releases."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.consensus.artefacts import sealed_bytes
from fedpact.consensus.secure_sum_record import bytes_of_member
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.pin_register import PinRegister
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.content.pruning import kept_by_all, prune
from fedpact.errors import ContentMissing, PolicyRefusal, StateError
from fedpact.learning.families import family_of
from fedpact.provider.content_store import kept_store, require_room
from fedpact.provider.files import copies_folder, pins_file
from fedpact.settings import Settings
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from tests.support.summing import secure_specification

FINGERPRINT = b"f" * 32
NOW = 1_000_000
ALICE, BOB = "0xaa", "0xbb"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=(str(tmp_path / "content"),), state=tmp_path / "state")


@pytest.fixture
def content(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "content")


def opened(settings: Settings, account: str, quota: int = 0) -> KeptStore:
    return KeptStore(
        EmbeddedStore(settings.store[0]),
        PinRegister(pins_file(settings.state, account)),
        EmbeddedStore(copies_folder(settings.state, account)),
        FINGERPRINT,
        quota,
    )


@pytest.fixture
def alice(settings: Settings) -> Iterator[KeptStore]:
    store = opened(settings, ALICE)
    yield store
    store.close()


def lose(content: EmbeddedStore, *cids: Cid) -> None:
    """As a garbage collection that somebody else ran."""
    for cid in cids:
        content.unpin(cid)
    content.collect_garbage()


def put_again(kept: KeptStore, now: int = NOW) -> int:
    """How many items that are owed were lost."""
    return kept.give_again(kept.next_owed(now))


def test_what_disappears_is_still_read_and_put_again_while_it_is_owed(
    alice: KeptStore, content: EmbeddedStore
) -> None:
    specification = content.put(b"specification")
    with keeping_for(1):
        model = alice.put(b"model")
        alice.get(specification, 100)
    lose(content, model, specification)
    assert alice.get(specification, 100) == b"specification"
    assert put_again(alice) == 2
    assert (content.has(model), content.has(specification)) == (True, True)
    assert put_again(alice) == 0


def test_what_is_damaged_is_read_from_the_copy_and_put_again(
    alice: KeptStore, content: EmbeddedStore, tmp_path: Path
) -> None:
    with keeping_for(1):
        model = alice.put(b"model")
    (tmp_path / "content/content" / str(model)).write_bytes(b"medol")
    assert alice.get(model, 100) == b"model"
    assert put_again(alice) == 1
    assert content.get(model, 100) == b"model"


def test_nothing_is_put_again_when_its_request_has_ended(
    alice: KeptStore, content: EmbeddedStore
) -> None:
    with keeping_for(1):
        first = alice.put(b"first")
    with keeping_for(2):
        second = alice.put(b"second")
    alice.end(1, NOW + 10)
    lose(content, first, second)
    assert alice.going_on() == [2]
    assert put_again(alice, NOW + 9) == 2
    lose(content, first, second)
    assert put_again(alice, NOW + 10) == 1
    assert (content.has(first), content.has(second)) == (False, True)


def test_copies_go_when_nothing_is_owed(
    alice: KeptStore, settings: Settings, content: EmbeddedStore
) -> None:
    with keeping_for(1):
        alice.put(b"model")
    alice.end(1, NOW)
    copies = EmbeddedStore(copies_folder(settings.state, ALICE))
    alice.drop_copies(NOW - 1)
    assert copies.items() == [Cid.of(b"model")]
    alice.drop_copies(NOW)
    assert copies.items() == []
    assert content.has(Cid.of(b"model"))  # until somebody prunes the store


def test_what_belongs_to_no_request_or_to_others_is_not_kept(
    alice: KeptStore, content: EmbeddedStore
) -> None:
    others = content.put(b"a model of another member")
    alice.put(b"profile")
    with keeping_for(1), keeping_for(None):
        alice.get(others, 100)
    assert alice.going_on() == []
    lose(content, others)
    with pytest.raises(ContentMissing):
        alice.get(others, 100)


def test_a_quota_counts_each_item_once(settings: Settings) -> None:
    store = opened(settings, ALICE, quota=1000)
    for request in (1, 2):
        with keeping_for(request):
            store.put(bytes(600))
    store.require_room(400)
    with pytest.raises(PolicyRefusal, match="would not fit"):
        store.require_room(401)
    store.close()


def test_a_quota_counts_the_parts_of_a_secure_sum(settings: Settings) -> None:
    """Of four members in two rounds, whose parts are larger than the small model."""
    spec = secure_specification()
    model = sealed_bytes(family_of(spec).template(spec))
    needed = 2 * (4 * bytes_of_member(spec) + model)
    store = opened(settings, ALICE, quota=needed)
    require_room(store, spec, 4)
    store.close()
    store = opened(settings, ALICE, quota=needed - 1)
    with pytest.raises(PolicyRefusal, match="would not fit"):
        require_room(store, spec, 4)
    store.close()


def test_pruning_gives_up_what_no_owner_owes_any_more(
    alice: KeptStore, settings: Settings, content: EmbeddedStore
) -> None:
    bob = opened(settings, BOB)
    with keeping_for(1):
        for store in (alice, bob):
            store.put(b"global model")
        own = alice.put(b"model of alice")
        requesters = alice.get(content.put(b"specification"), 100)
    alice.end(1, NOW)
    bob.end(1, NOW + 10)

    dry = prune(settings, really=False, now=NOW)
    assert (dry.items, dry.bytes, dry.collected) == (1, len(b"model of alice"), 0)
    assert content.has(own)
    done = prune(settings, really=True, now=NOW)
    assert (done.items, done.collected) == (1, 1)
    assert not content.has(own)
    assert content.has(Cid.of(b"global model"))
    assert prune(settings, really=True, now=NOW + 10).items == 1
    assert not content.has(Cid.of(b"global model"))
    assert content.has(Cid.of(requesters))  # not pinned from here
    bob.close()


def test_an_owner_can_prune_by_itself(
    alice: KeptStore, settings: Settings, content: EmbeddedStore
) -> None:
    bob = opened(settings, BOB)
    with keeping_for(1):
        for store in (alice, bob):
            store.put(b"global model")
        own = alice.put(b"model of alice")
    alice.end(1, NOW)
    alice.prune(settings.state, NOW - 1)
    assert content.has(own)
    alice.prune(settings.state, NOW)
    assert (content.has(own), content.has(Cid.of(b"global model"))) == (False, True)
    assert kept_by_all(settings.state)[0][1].items == 1
    bob.end(1, NOW + 10)
    alice.prune(settings.state, NOW + 10)
    assert not content.has(Cid.of(b"global model"))
    bob.close()


def test_what_is_kept_anew_while_a_store_prunes_stays(
    alice: KeptStore, settings: Settings, content: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon's store prunes beside its cycle, which may keep equal bytes for the next request."""
    with keeping_for(1):
        first, record = alice.put(b"first model"), alice.put(b"record of joining")
    alice.end(1, NOW)
    unpin = EmbeddedStore.unpin

    def keep_again(store: EmbeddedStore, cid: Cid) -> None:
        with keeping_for(2):
            alice.keep(b"record of joining", pinned=True)
            alice.keep(b"first model", pinned=True)
        unpin(store, cid)

    monkeypatch.setattr(EmbeddedStore, "unpin", keep_again)
    alice.prune(settings.state, NOW)
    monkeypatch.setattr(EmbeddedStore, "unpin", unpin)
    put_again(alice)
    assert (content.has(first), content.has(record)) == (True, True)
    assert kept_by_all(settings.state)[-1][1].items == 2


def test_everything_kept_is_listed(alice: KeptStore, settings: Settings) -> None:
    with keeping_for(7):
        alice.put(b"1234")
    [(account, kept)] = kept_by_all(settings.state)
    assert (account, kept.deployment, kept.request) == (ALICE, FINGERPRINT.hex(), 7)
    assert (kept.items, kept.bytes, kept.until) == (1, 4, None)
    alice.end(7, NOW)
    alice.end(7, NOW + 5)
    assert kept_by_all(settings.state)[0][1].until == NOW


def test_a_damaged_register_is_set_aside(settings: Settings) -> None:
    path = pins_file(settings.state, ALICE)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match="damaged"):
        PinRegister(path)
    deployment = Deployment(31337, "0x" + "ab" * 32, "0x1", "0x2", "0x3", 1, {})
    store = kept_store(settings, deployment, ALICE)
    with keeping_for(1):
        store.put(b"model")
    store.close()
    assert path.with_name("pins.sqlite.damaged").exists()


def test_a_copy_that_cannot_be_kept_fails_nothing(
    alice: KeptStore, settings: Settings, content: EmbeddedStore
) -> None:
    shutil.rmtree(copies_folder(settings.state, ALICE))
    copies_folder(settings.state, ALICE).write_text("not a folder")
    with keeping_for(1):
        cid = alice.put(b"model")
    assert content.has(cid)
