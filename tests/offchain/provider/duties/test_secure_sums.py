"""Secure sums as daemons make them: dropouts in every step, restarts, attacks, replays."""

import threading
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from fedpact.consensus.scoring import UNJUDGED
from fedpact.consensus.secure_sum_record import SumRecord, open_record
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.content.pin_register import PinRegister
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.errors import (
    ContentSought,
    ContentTooLarge,
    PrivacyError,
    Retryable,
    StoreUnreachable,
)
from fedpact.exchange.messages import Kind, Message
from fedpact.learning.families import family_of
from fedpact.provider.duties.catching_up import PATIENCE
from fedpact.provider.duties.voting import round_models
from fedpact.provider.request.history import replay_of
from fedpact.provider.request.reading import round_ref_of
from fedpact.provider.request.secure_sums import member_sum, sum_round
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase
from fedpact.types.scores import INVALID
from tests.support import waiting
from tests.support.summing import (
    KEY,
    REQUEST,
    Tables,
    digest_of_roster,
    held,
    messages,
    says,
    until,
    with_submissions,
)
from tests.support.waiting import wait_until


def test_all_prove_the_same_sum(table_of: Tables) -> None:
    table = table_of()
    table.train()
    table.run()
    found = table.sums(range(4))
    assert [one.total.tolist() for one in found if one] == [table.total(range(4))] * 4
    assert {one.seats for one in found if one} == {(0, 1, 2, 3)}


def test_nothing_of_the_values_is_left(table_of: Tables, tmp_path: Path) -> None:
    """Their noise is a part of what the promise needs: neither the store nor, once they are in a
    sum, the ledger has them."""
    table = table_of()
    table.train()
    table.run()
    plain = table.values[0].astype("<i8").tobytes()[:16]
    files = [one for one in tmp_path.rglob("content/*") if one.is_file()]
    assert files
    assert not any(plain in one.read_bytes() for one in files)
    for member in table.members:
        stored = member.ledger.stored(member.release)
        assert stored is not None
        sealed = open_record(stored, KEY, round_ref_of(member.view(), 1), member.keys.address)
        assert SumRecord.decode(sealed).announced


@pytest.mark.parametrize("gone", [0, 1, 3])
def test_who_never_announces_itself_is_left_out(table_of: Tables, gone: int) -> None:
    table = table_of()
    rest = [seat for seat in range(4) if seat != gone]
    table.train(rest)
    table.run(rest, turns=3)
    assert all(table.members[seat].digest is None for seat in rest)
    table.run(rest, share=0.45)
    [first, *others] = table.sums(rest, reader=rest[0])
    assert first is not None
    assert first.total.tolist() == table.total(rest)
    assert all(one is not None and one.seats == tuple(rest) for one in others)


def test_who_announces_itself_after_the_roster_changes_no_sum(table_of: Tables) -> None:
    """Neither the sums of the others nor what the late one submits for them."""
    table = table_of()
    table.train()
    table.run([0, 1, 2], turns=3)
    table.run([0, 1, 2], share=0.25, turns=1)
    assert held(table, 0, Kind.ROSTER)
    table.members[3].share = 0.3
    table.members[3].step()
    table.deliver()
    table.run(share=0.5)
    table.run(share=0.72)
    assert held(table, 0, Kind.ANNOUNCE, 3)
    table.run(share=0.85, turns=1)
    assert [one.total.tolist() for one in table.sums(range(4)) if one] == [
        table.total([0, 1, 2])
    ] * 4


def test_a_roster_that_nobody_can_use_keeps_nobody_from_proposing(table_of: Tables) -> None:
    """Seat 3 proposes first, and falsely; seat 1, whose turn is first, is silent."""
    table = table_of()
    table.train()
    for member in table.members:
        member.step()
    says(table, 3, Kind.ROSTER, "77" * 32, "000f")
    table.deliver()
    table.run([0, 2, 3], share=0.45)
    table.run([0, 2, 3], share=0.72)
    found = table.sums([0, 2, 3])
    assert [one.total.tolist() for one in found if one] == [table.total([0, 2, 3])] * 3


def test_a_roster_out_of_turn_leaves_nobody_out(table_of: Tables) -> None:
    """Seat 3, whose turn is the third, proposes one without seat 0 before the first has all."""
    table = table_of()
    table.train()
    for seat in (1, 2, 3):
        table.members[seat].step()
    table.deliver()
    says(table, 3, Kind.ROSTER, digest_of_roster(table, [1, 2, 3]).hex(), "000e")
    table.run()
    assert [one.seats for one in table.sums(range(4)) if one] == [(0, 1, 2, 3)] * 4


def test_a_roster_that_comes_late_splits_no_sum(table_of: Tables) -> None:
    """The first in turn proposes one when the others but seat 3, whose policy waits, have masked
    under the next one's."""
    table = table_of()
    table.train([0, 2, 3])
    table.members[3].waiting = "the policy waits"
    for member in table.members:
        member.step()
    table.deliver()
    table.run([0, 2, 3], share=0.45, turns=3)
    assert held(table, 0, Kind.MASKED, 0)
    assert held(table, 0, Kind.MASKED, 2)
    says(table, 1, Kind.ROSTER, digest_of_roster(table, [1, 2, 3]).hex(), "000e")
    table.deliver()
    table.members[3].waiting = None
    table.run([0, 2, 3], turns=3)
    table.run([0, 2, 3], share=0.72)
    assert [one.seats for one in table.sums([0, 2, 3]) if one] == [(0, 2, 3)] * 3


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_who_announces_itself_and_masks_nothing_is_left_out(table_of: Tables, gone: int) -> None:
    table = table_of()
    rest = [seat for seat in range(4) if seat != gone]
    table.train(rest)
    table.run(turns=3)
    table.run(rest, share=0.72)
    assert [one.total.tolist() for one in table.sums(rest, rest[0]) if one] == [
        table.total(rest)
    ] * 3


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_who_drops_out_after_masking_is_in_the_sum(table_of: Tables, gone: int) -> None:
    """Its vector is there, and nobody needs it any more: three of four can open the sum."""
    table = table_of()
    table.train()
    until(table, Kind.MASKED, range(4))
    rest = [seat for seat in range(4) if seat != gone]
    table.run(rest)
    found = table.sums(rest, rest[0])
    assert [one.total.tolist() for one in found if one] == [table.total(range(4))] * 3


def test_too_many_dropouts_are_no_sum_and_no_fault(table_of: Tables) -> None:
    """What is submitted is a record that proves nothing: silence would be a fault."""
    table = table_of()
    table.train()
    until(table, Kind.MASKED, range(4))
    table.run([0, 1], share=0.79)
    assert [table.members[seat].digest for seat in (0, 1)] == [None, None]
    table.run([0, 1], share=0.85)
    assert table.sums([0, 1]) == [None, None]
    for seat in (0, 1):
        member = table.members[seat]
        kept = member.ledger.stored(member.release)
        assert kept is not None
        member.step()
        assert member.ledger.stored(member.release) == kept


@pytest.mark.parametrize("kind", [Kind.ANNOUNCE, Kind.ROSTER, Kind.MASKED, Kind.AGREE, Kind.OPEN])
def test_a_daemon_that_is_killed_says_the_same_again(table_of: Tables, kind: Kind) -> None:
    table = table_of()
    table.train()
    until(table, kind, [0])
    before = {at: one for at, one in messages(table, 0).items() if at[1] == 0}
    table.members[0].kill()
    table.run()
    after = messages(table, 0)
    assert {at: after[at] for at in before} == before
    assert [one.total.tolist() for one in table.sums(range(4)) if one] == [
        table.total(range(4))
    ] * 4


def test_a_second_start_of_the_round_gets_no_second_sum(table_of: Tables) -> None:
    """Two sums of one value with different members would give the difference."""
    table = table_of()
    table.train()
    until(table, Kind.MASKED, range(4))
    table.history = b"\6" * 32
    for member in table.members:
        member.bus.boards.clear()
    table.run(share=0.5)
    assert all("another sum of this round" in member.said for member in table.members)
    table.run(share=0.85)
    assert table.sums(range(4)) == [None] * 4


def test_different_sets_told_to_different_members_open_nothing(table_of: Tables) -> None:
    """Seat 3 colludes with the network: it shows its vector to some alone. No set of vectors gets
    the agreement of three, or one does and all open for it."""
    table = table_of()
    table.train()

    def hidden(message: Message, to: int) -> bool:
        return not (message.at == (Kind.MASKED, 3) and to in (1, 2))

    until(table, Kind.ROSTER, range(4))
    table.run(share=0.3, passes=hidden, turns=4)
    table.run(share=0.72, passes=hidden)
    opened = {one.extra for member in table.members for one in held(table, member.seat, Kind.OPEN)}
    assert len(opened) <= 1


class Refusing(EmbeddedStore):
    """Says nothing to whoever puts something into it, and refuses it in the end."""

    full, go = True, threading.Event()

    def put(self, data: bytes) -> Cid:
        if self.full:
            self.go.wait(waiting.PATIENCE)
            raise StoreUnreachable("full")
        return super().put(data)

    def another(self) -> "Refusing":
        return Refusing(self._folder)


def test_a_masked_vector_that_the_store_refused_is_put_again(
    table_of: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member read its own copy, took its vector for published, and nobody else found it."""
    table = table_of()
    table.train()
    until(table, Kind.ROSTER, range(4))
    member, place = table.members[0], (REQUEST, 1)
    monkeypatch.setattr(Refusing, "full", True)
    monkeypatch.setattr(Refusing, "go", threading.Event())
    with PinRegister(tmp_path / "pins.sqlite") as register:
        copies = EmbeddedStore(tmp_path / "copies")
        bare = Refusing(tmp_path / "0" / "content")
        member.fetching = Fetching(KeptStore(bare, register, copies, bytes(32)), 0.1)

        def stepped() -> None:
            with keeping_for(REQUEST), suppress(Retryable):
                member.step()

        def knows_its_own() -> bool:
            stepped()
            return bool(member.cache.masked.get(place))

        def stored() -> bool:
            stepped()
            [said] = held(table, 0, Kind.MASKED, 0)
            return table.store.has(Cid.of_digest(said.content, 1 << 14))

        with closing(member.fetching):
            wait_until(knows_its_own, "it does not read its own copy")
            Refusing.go.set()
            Refusing.full = False
            wait_until(stored, "it never put its masked vector again")
        member.fetching = None


def test_masks_of_an_earlier_round_are_worth_nothing(table_of: Tables) -> None:
    """All that was said in round 1 is said again in round 2: no message counts."""
    table = table_of()
    table.train()
    table.run()
    old = [one.model_copy() for one in messages(table, 0).values()]
    table.round, table.history = 2, b"\x08" * 32
    table.train()
    for member in table.members:
        member.digest = None
        member.step()
        for message in old:
            with pytest.raises(Exception, match="signed by"):
                member.bus.boards[REQUEST, 2].take(message)
    table.run()
    assert [one.total.tolist() for one in table.sums(range(4)) if one] == [
        table.total(range(4))
    ] * 4


def test_a_false_opening_is_its_openers_alone(table_of: Tables) -> None:
    """Three true ones still open the sum."""
    table = table_of()
    table.train()
    until(table, Kind.AGREE, range(4))
    table.members[2].step()
    [true] = held(table, 2, Kind.OPEN, 2)
    says(table, 2, Kind.OPEN, "11" * (len(true.value) // 2), true.extra)
    table.run([0, 1, 2, 3])
    found = table.sums([0, 1, 3])
    assert [one.total.tolist() for one in found if one] == [table.total(range(4))] * 3
    assert {one.at_fault for one in found if one} == {(2,)}


def test_a_record_that_is_too_large_proves_nothing(table_of: Tables) -> None:
    def too_large(cid: Cid, most: int) -> bytes:
        raise ContentTooLarge(f"{cid} has more than {most} bytes")

    here = sum_round(table_of().members[0].view(), 1)
    with pytest.raises(PrivacyError, match="has more than"):
        here.proven(0, bytes(32), KEY, too_large)


def test_a_record_is_read_once_and_its_vectors_are_looked_for_at_once(table_of: Tables) -> None:
    """Each cycle read the record again, and looked for one vector more."""
    table = table_of()
    table.train()
    table.run()
    digest, reader = table.members[1].digest, table.members[0]
    assert digest is not None
    reader.cache.masked.clear()
    view, begun, taken, come = reader.view(), set[bytes](), Counter[bytes](), {digest}

    def take(_: int, cid: Cid, most: int) -> bytes | None:
        taken[cid.digest] += 1
        return table.store.get(cid, most) if cid.digest in come else None

    view.ctx.fetching = SimpleNamespace(
        take=take, begin=lambda _, cid, most: begun.add(cid.digest), was_missing=lambda *_: False
    )
    with pytest.raises(ContentSought):
        member_sum(view, 1, 1, digest)
    vectors = {message.content for message in held(table, 0, Kind.MASKED)}
    assert begun == vectors
    come |= vectors
    found = member_sum(view, 1, 1, digest)
    assert found is not None
    assert found.total.tolist() == table.total(range(4))
    assert taken[digest] == 1


def test_a_member_that_deals_a_bad_share_is_not_trusted_with_a_vector(table_of: Tables) -> None:
    """Its victim does not mask, and the others make the sum without the victim."""
    table = table_of()
    table.train()
    for member in table.members:
        member.step()
    dealer = table.members[1]
    message = dealer.bus.boards[REQUEST, 1].messages[Kind.ANNOUNCE, 1]
    content = bytearray(table.store.get(Cid.of_digest(message.content, 1 << 14), 1 << 14))
    content[-80] ^= 1  # what it dealt to seat 3
    digest = table.store.put(bytes(content)).digest
    forged = message.model_copy(update={"value": digest.hex(), "signature": ""})
    board = dealer.bus.boards[REQUEST, 1]
    signature = dealer.keys.sign_typed(*board.ballot.typed(forged))
    del board.messages[Kind.ANNOUNCE, 1]
    assert board.take(forged.model_copy(update={"signature": signature.hex()}))
    dealer.cache.announced.clear()
    table.run(turns=4)
    table.run(share=0.72)
    (victim,) = (member for member in table.members if "dealt" in member.said)
    rest = [seat for seat in range(4) if seat != victim.seat]
    assert not held(table, 0, Kind.MASKED, victim.seat)
    assert [one.total.tolist() for one in table.sums(rest, rest[0]) if one] == [
        table.total(rest)
    ] * 3


def test_a_record_that_nobody_can_fetch_is_invalid_alone(table_of: Tables) -> None:
    table = table_of()
    table.values = [one >> 12 for one in table.values]  # no more than honest noise
    table.train()
    table.run()
    digests = [*(one.digest for one in table.members[:3] if one.digest), b"\x55" * 32]
    view = table.members[0].view()
    submitted = {"mask": 0b1111, "digests": ["0x" + one.hex() for one in digests]}
    view.events, view.judged = with_submissions(view.events, submitted), 0b1111
    view.facts = SimpleNamespace(
        history=table.history, phase=Phase.COMMIT, submitted=0b1111, voided=0
    )
    view.share_passed, view.judged_members = lambda: PATIENCE + 0.1, {0, 1, 2, 3}
    cache = table.members[0].cache
    cache.globals[REQUEST, 0] = family_of(table.spec).initial(table.spec, 0)
    cache.slices[REQUEST, 1] = None
    models = round_models(view)
    assert models is not None
    assert [models[index] is None for index in range(4)] == [False, False, False, True]
    scores, _ = replay_of(view).scoring(1).result()
    assert scores == {0: UNJUDGED, 1: UNJUDGED, 2: UNJUDGED, 3: INVALID}
