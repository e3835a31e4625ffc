"""What a requester does, and which of its attacks fail."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedpact.chain.bindings.events import Disputed, Paid, Settled, SliceOpened
from fedpact.chain.devnet import Devnet
from fedpact.chain.outbox import Outbox
from fedpact.consensus.artefacts import open_slice
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.keys import committee_key, unseal
from fedpact.content.pin_register import PINS
from fedpact.errors import (
    DecryptionError,
    InvalidInput,
    NodeUnreachable,
    NotReady,
    Retryable,
    SpecificationError,
    StorageUnavailable,
    StoreUnreachable,
    TransactionTimeout,
    UnknownRequest,
)
from fedpact.requester import attempts, serve
from fedpact.requester.fetching import delivery_of
from fedpact.requester.follow import RequestProgress
from fedpact.requester.model_file import card_paths
from fedpact.requester.request_view import RequestLook, look
from fedpact.requester.requester import Requester
from fedpact.requester.slice_keys import read_slice_keys, write_slice_keys
from fedpact.requester.terms import MarketTerms
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase, Status
from tests.offchain.requester.conftest import PAY, WINDOWS, Scene
from tests.offchain.requester.requests_of_digits import evaluation
from tests.support.chain_request import REQUEST_KEY, People
from tests.support.patient_service import PatientService


def test_a_request_is_served_to_its_end(scene: Scene, people: People) -> None:
    request = scene.create().begin()
    scene.daemon.cycle()
    assert not request.happened(SliceOpened)
    request.submit(0, 1, 2)
    scene.daemon.cycle()
    scene.daemon.cycle()
    [opened] = request.happened(SliceOpened)
    private = committee_key(REQUEST_KEY, scene.client.deployment.fingerprint, request.id)
    spec = scene.requester.specification(request.id)
    part = spec.evaluation[0]
    sealed = scene.store.get(Cid.parse(part.cid), 10**6)
    key = unseal(private, opened.sealed_key)
    assert len(open_slice(spec, 1, key, sealed)) == part.examples

    request.finish_round()
    scene.daemon.cycle()
    assert request.status is Status.OPEN
    request.deliver()
    scene.daemon.cycle()
    assert request.status is Status.SETTLED
    path = scene.requester.model_path(request.id)
    assert path.is_file()
    kept = json.loads(card_paths(path)[1].read_text())
    assert kept["quality"]["examples"] == len(evaluation())
    paid = {one.account: one.amount for one in request.happened(Paid)}
    assert sum(paid[keys.address] for keys in people.members) >= PAY - 3
    fetched = scene.requester.fetch(request.id, scene.folder / "again.safetensors")
    assert set(fetched.contributors) == {keys.address for keys in people.members}
    assert fetched.path.read_bytes() == path.read_bytes()
    text, data = card_paths(fetched.path)
    card = json.loads(data.read_text())
    assert card["quality"]["examples"] == len(evaluation())
    assert [one["sealed"] for one in card["quality"]["slices"]] == [True]
    assert sum(one["share"] for one in card["providers"]) == pytest.approx(1)
    steps = [one["transaction"] for one in card["provenance"]["milestones"]]
    assert steps[-1] == request.happened(Settled)[0].at.tx_hash
    assert all(one in text.read_text() for one in (fetched.cid, *steps, *fetched.contributors))
    np.savez(scene.folder / "queries.npz", x=evaluation().x[:5])
    assert len(scene.requester.answer(request.id, scene.folder / "queries.npz")) == 5
    assert look(scene.client, request.id).progress().model
    with pytest.raises(NotReady, match="is settled"):
        scene.requester.refund(request.id)


def test_a_service_that_starts_anew_goes_on_where_it_was(scene: Scene) -> None:
    request = scene.create().begin()
    request.submit(0, 1, 2)
    request.finish_round()
    request.deliver()
    seen = []
    end = scene.requester.follow(request.id, seen.append, poll_interval=0.01)
    assert (end.status, end.model) == (Status.SETTLED, True)
    assert "received the model" in seen[0].note
    fresh = PatientService(scene.requester, 0.01)
    fresh.cycle()
    fresh.cycle()
    assert len(request.happened(Settled)) == 1


@pytest.mark.parametrize("seconds", [0, 30 * 24 * 3600 + 1, 2**40])
def test_a_window_that_the_contracts_refuse_is_refused_before(scene: Scene, seconds: int) -> None:
    """The contract refused it once all content was in the store, or eth_abi with a trace."""
    asked = scene.draft(windows={**dict.fromkeys(WINDOWS, 600), "join": seconds})
    with pytest.raises(InvalidInput, match=f"join_window is {seconds} s"):
        scene.requester.create(asked, evaluation(), PAY)


def test_a_key_that_does_not_open_is_disputed_and_all_money_back(scene: Scene) -> None:
    request = scene.create()
    request.deliveries = replace(request.deliveries, ciphers=(bytes(32),))
    request.begin()
    request.finish_round()
    request.deliver()
    with pytest.raises(DecryptionError):
        scene.requester.fetch(request.id)
    scene.daemon.cycle()
    assert request.status is Status.DISPUTED
    assert len(request.happened(Disputed)) == 1
    scene.daemon.cycle()
    [settled] = request.happened(Settled)
    assert (settled.pool, settled.refund) == (0, PAY)
    assert not look(scene.client, request.id).progress().model


def test_a_model_that_is_nowhere_is_not_accepted(scene: Scene) -> None:
    """The key is right, so that nothing can be disputed; the requester keeps looking."""
    request = scene.create(terms={"dispute_window": 900}).begin()
    request.post()
    request.deliver()
    scene.daemon.cycle()
    assert request.status is Status.DELIVERED
    scene.wait(500)
    seen = list[RequestProgress]()
    end = scene.requester.follow(request.id, seen.append, poll_interval=0.01)
    assert any("the model cannot be read" in one.note for one in seen)
    assert end.status is Status.SETTLED


def test_cancelling_after_the_first_model_pays_for_it(scene: Scene, people: People) -> None:
    """In the first protocol the requester kept model and money (audit, row 3)."""
    request = scene.create(rounds=2).begin()
    request.submit(0)
    scene.requester.cancel(request.id)
    scene.wait(400)
    scene.wait(400)
    end = scene.requester.follow(request.id, poll_interval=0.01)
    assert not end.model
    paid = {one.account: one.amount for one in request.happened(Paid)}
    assert paid[request.seats[0].address] == PAY // 2
    assert set(paid) == {request.seats[0].address, people.requester.address}


def test_a_request_that_nobody_can_start_gives_its_money_back(scene: Scene) -> None:
    request = scene.create()
    before = scene.client.balance(scene.people.requester.address)
    scene.daemon.cycle()
    scene.wait(400)
    for _ in range(3):
        scene.daemon.cycle()
    assert request.status is Status.SETTLED
    assert scene.client.balance(scene.people.requester.address) > before + PAY - 10**16


def test_a_round_that_all_have_left_is_closed(scene: Scene) -> None:
    request = scene.create().begin()
    scene.wait(400)
    assert request.client.rounds.round_facts(request.id).phase is Phase.FAILED
    scene.daemon.cycle()
    assert request.client.rounds.round_facts(request.id).phase is Phase.WAITING
    scene.wait(1_000)
    end = scene.requester.follow(request.id, poll_interval=0.01)
    assert (end.status, end.model) == (Status.SETTLED, False)


def test_an_opener_opens_slices_while_the_requester_is_away(
    scene: Scene,
    anvil: Devnet,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object) -> None:
        raise UnknownRequest("the node lags behind")

    opener = anvil.new_account()
    request = scene.create(terms={"openers": [opener.address]}).begin()
    folder = tmp_path / "slices"
    folder.mkdir()
    (folder / "0-damaged.json").write_text("{}")
    given = scene.requester.slice_keys(request.id)
    write_slice_keys(given, folder / "1.json")
    assert (folder / "1.json").stat().st_mode & 0o077 == 0
    assert read_slice_keys(folder / "1.json") == given
    assert given.keys[0].hex() not in repr(given)
    with pytest.raises(InvalidInput, match="cannot write"):
        write_slice_keys(given, folder / "1.json")
    theirs = Requester(scene.client, scene.store, opener, tmp_path / "theirs")
    service = PatientService(theirs, 0.01, folder)
    request.submit(0, 1, 2)
    with monkeypatch.context() as behind:  # The file was passed over for good.
        behind.setattr(scene.client.market, "request", unknown)
        behind.setattr(attempts, "pause_after", lambda *_: 60.0)
        service.cycle()
        service.cycle()
        assert caplog.text.count("1.json cannot be used: the node lags behind") == 1
    service._read[folder / "1.json"]._next = 0.0
    service.cycle()
    assert len(request.happened(SliceOpened)) == 1
    request.finish_round()
    request.deliver()
    service.cycle()
    assert request.status is Status.DELIVERED
    # Each file was read again in each cycle, and a damaged one told of with a trace.
    [told] = [one for one in caplog.records if "0-damaged.json" in one.getMessage()]
    assert told.exc_info is None
    (folder / "0-damaged.json").write_text("[]")
    caplog.clear()
    service.cycle()
    service.cycle()
    assert caplog.text.count("0-damaged.json cannot be used") == 1
    assert failing(service) == 1
    (folder / "0-damaged.json").chmod(0o640)  # It may have been the mode that kept it unread.
    service.cycle()
    assert caplog.text.count("0-damaged.json cannot be used") == 2
    (folder / "0-damaged.json").unlink()
    service.cycle()
    assert failing(service) == 0


def failing(service: PatientService) -> float | None:
    """What its metrics say."""
    return service._metrics.registry.get_sample_value("fedpact_requests_failing")


def test_a_corrected_file_of_slice_keys_replaces_the_wrong_one(
    scene: Scene, anvil: Devnet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The wrong keys stayed until the next start, and nothing said so."""
    caplog.set_level("INFO")
    opener = anvil.new_account()
    request = scene.create(terms={"openers": [opener.address]}).begin()
    folder = tmp_path / "slices"
    folder.mkdir()
    path, given = folder / "1.json", scene.requester.slice_keys(request.id)
    write_slice_keys(replace(given, keys=()), path)
    theirs = Requester(scene.client, scene.store, opener, tmp_path / "theirs")
    service = PatientService(theirs, 0.01, folder)
    request.submit(0, 1, 2)
    service.cycle()
    assert not request.happened(SliceOpened)
    assert "there are slice keys for 0 rounds, not for round 1" in caplog.text
    path.unlink()
    write_slice_keys(given, path)
    service.cycle()
    assert len(request.happened(SliceOpened)) == 1
    assert f"request {request.id}: its slice keys are those of {path} now" in caplog.text


def test_one_requests_trouble_is_not_anothers(scene: Scene, tmp_path: Path) -> None:
    broken = scene.create(title="Its specification is nowhere").begin()
    elsewhere = Scene(scene.anvil, scene.client, scene.people, tmp_path / "elsewhere")
    request = elsewhere.create().begin()
    for one in (broken, request):
        one.submit(0, 1, 2)
    elsewhere.daemon.cycle()
    assert len(request.happened(SliceOpened)) == 1
    assert not broken.happened(SliceOpened)
    assert isinstance(elsewhere.store, EmbeddedStore)


def test_an_interrupted_creation_is_not_paid_twice(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = scene.client.market.request_count()
    monkeypatch.setattr(Path, "unlink", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scene.create()
    monkeypatch.undo()
    assert scene.create().id == count + 1
    assert scene.client.market.request_count() == count + 1
    assert scene.create().id == count + 2


@pytest.mark.parametrize("left", ["", "{", "[]", '{"block": null}'])
def test_a_damaged_file_of_a_creation_says_what_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """An empty file, as a power cut may leave it, ended each `request create` with a trace."""
    count = scene.client.market.request_count()
    monkeypatch.setattr(Path, "unlink", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scene.create()
    monkeypatch.undo()
    [pending] = (scene.requester._folder / "creating").glob("*.json")
    pending.write_text(left)
    with pytest.raises(InvalidInput, match="whether the request was made, then remove the file"):
        scene.create()
    assert scene.client.market.request_count() == count + 1


def interrupt(path: Path) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"min_pool": 9}, "min_pool 9 is above max_pool 3"),
        ({"weight_rule": "samples"}, "sample_cap goes with weight_rule samples"),
        ({"gas_per_round": "5 wei"}, "not a multiple of"),
        ({"colour": 1}, "terms: colour"),
        ({"openers": ["me"]}, "terms: openers"),
        (7, "terms: "),
        ({"rounds_kind": "huge"}, "terms: rounds_kind"),
        ({"rounds_kind": "large", "max_pool": 1_025}, "large rounds take pools of at most 1024"),
    ],
)
def test_terms_that_make_no_sense_are_refused(scene: Scene, terms: object, said: str) -> None:
    with pytest.raises(SpecificationError, match=said):
        scene.requester.prepare(scene.draft().changed(terms=terms), evaluation(), PAY)


def test_the_kind_of_rounds_is_the_deployments(scene: Scene) -> None:
    draft = scene.draft().changed(terms={"rounds_kind": "large", "max_pool": 40})
    with pytest.raises(InvalidInput, match="is 'large', and this deployment has usual rounds"):
        scene.requester.prepare(draft, evaluation(), PAY)


def test_large_rounds_need_more_members_than_judges(scene: Scene) -> None:
    spec = scene.requester.prepare(scene.draft(), evaluation(), PAY)[0].specification
    key = scene.requester.delivery_key
    asked = MarketTerms(rounds_kind="large", max_pool=40)
    assert asked.complete(spec, key, PAY).min_pool == spec.max_providers + 1
    few = MarketTerms(rounds_kind="large", max_pool=40, min_pool=spec.max_providers)
    with pytest.raises(SpecificationError, match="leaves nobody to train: a committee of"):
        few.complete(spec, key, PAY)
    many = spec.model_copy(update={"rounds": 51})
    with pytest.raises(SpecificationError, match="51 rounds: large rounds take at most 50"):
        asked.complete(many, key, PAY)


def test_terms_of_a_draft_are_those_on_chain(scene: Scene, anvil: Devnet) -> None:
    given = {
        **{"min_pool": 2, "max_pool": 400, "weight_rule": "samples", "sample_cap": 1_000},
        **{"gas_per_round": "0.002 ether", "max_gas_price": "3 gwei", "dispute_window": 99},
        "openers": [anvil.new_account().address],
    }
    terms = scene.create(terms=given).terms
    assert (terms.min_pool, terms.max_pool, terms.cohort) == (2, 400, 3)
    assert (terms.weight_rule.name, terms.sample_cap) == ("SAMPLES", 1_000)
    assert (terms.gas_per_round, terms.max_gas_price) == (2 * 10**15, 3 * 10**9)
    assert (terms.dispute_window, list(terms.openers)) == (99, given["openers"])


def test_events_that_are_not_read_yet_are_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of a new block was there before its log: the service logged a trace."""
    seen = look(scene.client, scene.create().begin().id)
    monkeypatch.setattr(RequestLook, "up_to", lambda *_: [])
    with pytest.raises(Retryable, match="read yet"):
        seen.committee_key()
    with pytest.raises(NotReady, match="no model has been delivered"):
        delivery_of(seen)
    with pytest.raises(Retryable, match="read yet"):
        delivery_of(replace(seen, stored=replace(seen.stored, delivered_at=1)))


def test_what_the_store_loses_of_a_request_is_put_again(scene: Scene) -> None:
    """Slices and specification were lost for good, and nobody joined."""
    request = scene.create()
    items = scene.store.items()
    for cid in items:
        scene.store.unpin(cid)
    scene.store.collect_garbage()
    assert not scene.store.items()
    scene.daemon.cycle()
    assert sorted(map(str, scene.store.items())) == sorted(map(str, items))
    assert scene.requester.specification(request.id)


def test_a_damaged_register_of_content_is_begun_anew(scene: Scene) -> None:
    """A request was paid for, and the command ended with an error, as each later one did; the
    service could end no request."""
    first = scene.create()
    register = scene.requester._folder / PINS
    register.write_bytes(b"damaged" * 1_000)
    request = scene.create().begin()
    request.submit(0, 1, 2)
    request.finish_round()
    request.deliver()
    scene.daemon.cycle()
    scene.daemon.cycle()
    assert request.status is Status.SETTLED
    assert request.id in scene.daemon._over
    assert first.id not in scene.daemon._over
    assert register.with_name(f"{PINS}.damaged").exists()


def test_others_requests_are_left_alone(scene: Scene, people: People, tmp_path: Path) -> None:
    request = scene.create()
    other = Requester(scene.client, scene.store, people.members[0], tmp_path / "other")
    with pytest.raises(InvalidInput, match="was made by"):
        other.follow(request.id)
    for refused in (other.cancel, other.slice_keys):  # Its keys would open nothing.
        with pytest.raises(InvalidInput, match="was made by"):
            refused(request.id)
    request.begin().submit(0, 1, 2)
    request.finish_round()
    request.deliver()
    with pytest.raises(InvalidInput, match="neither made the request nor bought"):
        other.fetch(request.id)


def test_a_result_is_given_away_and_checked_against_the_chain(
    scene: Scene, people: People, tmp_path: Path
) -> None:
    request = scene.create().begin()
    request.submit(0, 1, 2)
    request.finish_round()
    with pytest.raises(NotReady, match="no model has been delivered"):
        scene.requester.give(request.id, tmp_path / "early.json")
    request.deliver()
    file = tmp_path / "gift.json"
    scene.requester.give(request.id, file)
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(InvalidInput, match="cannot write"):
        scene.requester.give(request.id, file)

    other = Requester(scene.client, scene.store, people.members[0], tmp_path / "other")
    given = other.fetch(request.id, gift=file)
    own = scene.requester.fetch(request.id, scene.folder / "own.safetensors")
    assert given.path.read_bytes() == own.path.read_bytes()
    assert given.contributors == own.contributors

    document = json.loads(file.read_text())
    for change, said in (
        ({"key": bytes(32).hex()}, "not that of request"),
        ({"request": request.id + 1}, f"of request {request.id + 1} "),
        ({"format": "other"}, "is not of format"),
        ({"key": 1}, "holds no gift"),
    ):
        file.write_text(json.dumps(document | change))
        with pytest.raises(InvalidInput, match=said) as refused:
            other.fetch(request.id, gift=file)
        assert document["key"] not in str(refused.value)


def test_a_result_that_is_for_sale_is_not_given_away(scene: Scene, tmp_path: Path) -> None:
    request = scene.create(resale={"price": 10**15}).begin()
    request.submit(0, 1, 2)
    request.finish_round()
    request.deliver()
    with pytest.raises(InvalidInput, match="makers are paid for each copy"):
        scene.requester.give(request.id, tmp_path / "gift.json")


def test_what_is_too_early_or_too_late_says_so_in_words(scene: Scene) -> None:
    request, requester = scene.create(), scene.requester
    with pytest.raises(NotReady, match=f"not over.*fedpact request cancel {request.id}"):
        requester.refund(request.id)
    with pytest.raises(InvalidInput, match=r"models are written as \.safetensors files"):
        requester.fetch(request.id, scene.folder / "model.txt")
    request.begin().submit(0, 1, 2)
    request.finish_round()
    with pytest.raises(NotReady, match=r"members have \d+ more seconds to deliver"):
        requester.refund(request.id)
    with pytest.raises(NotReady, match="nothing is left to cancel"):
        requester.cancel(request.id)


def test_an_auditor_gets_nothing_before_the_pay(scene: Scene, anvil: Devnet) -> None:
    """In the first protocol a requester named itself auditor and read all models unpaid. What an
    auditor gets after the delivery: tests/integration/test_audit.py."""
    auditor = anvil.new_account()
    with pytest.raises(InvalidInput, match="is not an active participant"):
        scene.create(auditors=[auditor.address])
    request = scene.create().begin()
    request.submit(0, 1, 2)
    scene.daemon.cycle()
    scene.daemon.cycle()
    [opened] = request.happened(SliceOpened)
    for keys in (auditor, scene.people.requester, *scene.people.members):
        with pytest.raises(DecryptionError):
            unseal(keys.encryption_key(), opened.sealed_key)


def test_nothing_is_read_for_a_request_that_was_settled_long_ago(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content may be gone: a service that started again tried it for ever."""
    request = scene.create().begin()
    request.submit(0, 1, 2)
    request.finish_round()
    request.deliver()
    scene.requester.follow(request.id, poll_interval=0.01)
    service = PatientService(scene.requester, 0.0)
    tries: list[int] = []
    monkeypatch.setattr(scene.requester, "acting", lambda number, *_: tries.append(number))
    service.cycle()
    assert request.id not in tries


def test_copies_of_what_is_not_owed_any_more_are_deleted(scene: Scene) -> None:
    request = scene.create().begin()
    copies = scene.requester._folder / "copies" / "content"
    assert any(copies.iterdir())
    with scene.requester._keeping() as kept:
        kept.end(request.id, 0)
    with scene.requester.content(20.0) as content:
        content.look_after(scene.client.frame().timestamp)
    assert not any(copies.iterdir())


class Full(EmbeddedStore):
    """Takes nothing, as on a full disk."""

    def check(self) -> None:
        raise StoreUnreachable("there is no room")

    def another(self) -> "Full":
        return Full(self._folder)


def test_content_and_transactions_that_cannot_be_looked_after_are_told(
    scene: Scene, anvil: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service said that it was ready, for its cycles succeeded."""
    store = Full(scene.store._folder)
    alone = Requester(scene.client, store, anvil.new_account(), tmp_path / "alone")
    service = PatientService(alone, 0.01)

    def lost(_: object) -> int:
        raise NodeUnreachable("no answer")

    monkeypatch.setattr(scene.client.sender, "tend", lost)
    service.cycle()
    said = {part: said for part, (_, said) in service._metrics.pulse.troubles.items()}
    assert said == {"content": "there is no room", "transactions": "no answer"}
    assert failing(service) == 2
    service._content.close()


def test_a_request_that_cannot_be_read_is_tried_again_later_and_not_in_each_cycle(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that answers with errors filled the log at every poll interval."""
    scene.create().begin()
    service = PatientService(scene.requester, 60.0)
    tries: list[int] = []

    def unreadable(request: int, *_: object) -> None:
        tries.append(request)
        raise StoreUnreachable("the store answers 500")

    monkeypatch.setattr(scene.requester, "acting", unreadable)
    for _ in range(3):
        service.cycle()
    assert len(tries) == len(set(tries)) > 0


def test_a_service_waits_for_no_transaction_while_other_requests_have_duties(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opened one slice a block: of twenty requests at once, eight got none in time."""
    first, second = scene.create().begin().id, scene.create().begin().id
    service = PatientService(scene.requester, 0.0)
    acted: list[tuple[int, bytes]] = []
    limits: set[float] = set()

    def duty(_: object, look: RequestLook) -> str:
        acted.append((look.request_id, look.frame.block_hash))
        limits.add(scene.client.sender.timeout)
        raise TransactionTimeout("not mined within 0.3 s")

    monkeypatch.setattr(serve, "next_duty", duty)
    before = scene.client.sender.timeout
    for _ in range(3):
        service.cycle()
    assert {first, second} <= {request for request, _ in acted}
    assert len(acted) == len(set(acted))  # Once a block.
    assert limits == {serve.SEND_PATIENCE}
    assert scene.client.sender.timeout == before
    tried = [request for request, _ in acted].count(first)
    scene.client.rpc.call("evm_mine")
    service.cycle()
    assert [request for request, _ in acted].count(first) == tried + 1


def test_a_full_disk_keeps_no_slice_from_being_opened(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the service sends can be sent twice: the contract refuses the second. Rounds went blind
    while the disk that notes transactions was full."""

    def full(*_: object) -> None:
        raise StorageUnavailable("outbox: the disk is full")

    request = scene.create().begin()
    request.submit(0, 1, 2)
    for name in ("load", "save", "drop"):
        monkeypatch.setattr(Outbox, name, full)
    monkeypatch.setattr(scene.client.sender, "_accounts", {})
    scene.daemon.cycle()
    assert len(request.happened(SliceOpened)) == 1
    assert caplog.text.count("the disk is full: sent transactions are not recorded") == 1
    with pytest.raises(StorageUnavailable):
        scene.requester.cancel(request.id)


def test_a_service_that_is_stopped_begins_nothing_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call of a node that hangs held its end up for ten seconds."""
    request = scene.create().begin()
    request.submit(0, 1, 2)
    monkeypatch.setattr(scene.daemon, "_tend", scene.daemon.stop)
    scene.daemon.cycle()
    assert not request.happened(SliceOpened)
