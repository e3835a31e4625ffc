"""The audit of a request: an honest one holds item by item; one falsified input makes the item that
is about it fail, and that item alone.

The contracts let none of this happen; a node or a store that lies, or other contracts, might. Each
case changes one fact of a real, finished request.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from fedpact.audit import audit
from fedpact.audit.audit import inspect
from fedpact.audit.chain import Facts
from fedpact.audit.report import AuditItem, Verdict
from fedpact.audit.request_events import gather
from fedpact.chain.abi import ROUNDS, SECOND, contract_abi
from fedpact.chain.bindings.events import Started
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Event
from fedpact.chain.scanner import EventScanner
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.keys import Manifest, key_hash
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification
from tests.support.committee import (
    Committee,
    DigitsMarket,
    new_request,
    open_digits_market,
)
from tests.support.sold_request import PRICE, deliver_and_sell, play_rounds


@pytest.fixture(scope="module")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    return open_digits_market(anvil, tmp_path_factory.mktemp("second-market"))


@pytest.fixture(scope="module")
def undelivered(market: DigitsMarket) -> dict[str, AuditItem]:
    """What the auditor finds before anything is delivered; filled by `finished`."""
    return {}


@pytest.fixture(scope="module")
def finished(market: DigitsMarket, undelivered: dict[str, AuditItem]) -> Committee:
    committee = play_rounds(market)
    report = audit(market.client, market.store, committee.id, market.auditor)
    undelivered.update({item.name: item for item in report.items})
    deliver_and_sell(committee)
    return committee


@dataclass
class Told:
    """What an auditor is told; each case falsifies one thing of it."""

    events: list[Event]
    facts: Facts
    store: EmbeddedStore
    folder: Path
    committee: Committee

    def event(self, name: str, number: int = 0) -> Event:
        """The request's event of this name, to be changed."""
        found = [one for one in self.events if one.name == name and self._concerns(one)]
        return found[number]

    def _concerns(self, event: Event) -> bool:
        if "request" in event.args:
            return bool(event.args["request"] == self.committee.id)
        return event.tx_hash == self.event("Settled").tx_hash

    def view(self, name: str, **changes: Any) -> None:
        self.facts.__dict__[name] = replace(getattr(self.facts, name), **changes)

    def calldata(self, event: Event, old: bytes, new: bytes) -> None:
        """An event's transaction with some other bytes in its calldata."""
        known = self.facts.transaction(event.tx_hash)
        given = bytes.fromhex(known["input"][2:])
        assert given.count(old) == 1
        changed = "0x" + given.replace(old, new).hex()
        self.facts._transactions[event.tx_hash] = {**known, "input": changed}

    def last_argument(self, event: Event, function: str) -> bytes:
        """The signatures in a call of the rounds contract."""
        known = self.facts.transaction(event.tx_hash)
        given = bytes.fromhex(known["input"][2:])
        return bytes(contract_abi(ROUNDS, SECOND).functions[function].inputs.decode(given[4:])[-1])

    def spoil_signature(self, event: Event, function: str) -> None:
        signature = self.last_argument(event, function)[:32]
        self.calldata(event, signature, bytes([signature[0] ^ 1]) + signature[1:])

    def spoil(self, cid: Cid | str) -> None:
        """Change bytes that the store holds."""
        path = self.folder / "content" / str(cid)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    def another_specification(self, **changes: Any) -> None:
        """The terms on chain name another document."""
        spec = self.committee.spec.model_copy(update=changes)
        cid = self.store.put(spec.encode())
        Specification.decode(spec.encode())
        self.event("RequestCreated").args["terms"]["specification"] = cid.digest

    def inspected(self, keys: AccountKeys | None = None) -> tuple[AuditItem, ...]:
        return inspect(gather(self.committee.id, self.events), self.facts, self.store, keys)


@pytest.fixture(scope="module")
def originals(market: DigitsMarket, finished: Committee) -> tuple[list[Event], Facts]:
    frame = market.client.frame()
    events = all_events(market)
    return events, Facts(market.client, finished.id, frame)


def all_events(market: DigitsMarket) -> list[Event]:
    """All events of the deployment, as the node returns them."""
    frame = market.client.frame()
    return list(EventScanner(market.client, market.client.deployment.block).scan(frame))


@pytest.fixture
def told(
    market: DigitsMarket,
    finished: Committee,
    originals: tuple[list[Event], Facts],
    tmp_path: Path,
) -> Told:
    events, facts = originals
    own = Facts(market.client, finished.id, facts.frame)
    own.__dict__.update(facts.__dict__)
    own._transactions = dict(facts._transactions)
    folder = tmp_path / "store"
    copytree(market.folder / "content", folder)
    return Told(deepcopy(events), own, EmbeddedStore(folder), folder, finished)


def test_an_honest_request_holds_item_by_item(market: DigitsMarket, finished: Committee) -> None:
    report = audit(market.client, market.store, finished.id, market.auditor)
    assert [item for item in report.items if item.verdict is not Verdict.HOLDS] == []
    details = {item.name: item.detail for item in report.items}
    assert details["opt_ins"] == "3 joined, 2 by a signature; 0 left"
    assert details["records"] == "1 round posted as a whole"
    assert details["commitments"] == "3 votes opened on chain"
    assert details["models"] == "6 models; 0 counted as invalid"
    assert details["purchases"] == "0 of 1 sales final, 0 wrong keys shown"
    assert details["sold_keys"] == "1 keys"


def test_without_a_seal_all_that_is_public_holds(market: DigitsMarket, finished: Committee) -> None:
    report = audit(market.client, market.store, finished.id)
    sealed = ["request_key", "start_keys", "models", "scores", "aggregates", "global_errors"]
    sealed.append("sold_keys")
    assert [item.name for item in report.unavailable] == sealed
    assert not report.failed


def test_whoever_has_no_seal_is_told_who_has_one(market: DigitsMarket, finished: Committee) -> None:
    report = audit(market.client, market.store, finished.id, market.requester_keys)
    [detail] = {item.detail for item in report.unavailable}
    assert detail.startswith(
        f"no key was sealed to {market.requester_keys.address}: only members hold"
    )
    assert not report.failed


def test_an_auditor_opens_nothing_before_the_delivery(
    market: DigitsMarket, finished: Committee, undelivered: dict[str, AuditItem]
) -> None:
    """In the first protocol a requester named itself auditor, and read all models unpaid."""
    for name in ("request_key", "models", "aggregates"):
        assert undelivered[name].verdict is Verdict.UNAVAILABLE
    assert undelivered["request_key"].detail == "sealed to auditors until a key is delivered"
    [start] = [
        event.start
        for event in market.client.request_events(finished.id)
        if isinstance(event, Started)
    ]
    manifest = Manifest.decode(market.store.get(Cid.of_digest(start.manifest, 1), 2**18))
    auditor = market.auditor
    sealed = manifest.open(auditor.address, auditor.encryption_key())
    assert key_hash(sealed) != start.key_hash
    member = finished.members[0]
    assert manifest.open(member.address, member.encryption_key()) == finished.key


def test_what_all_members_agree_to_say_falsely_is_found(market: DigitsMarket) -> None:
    """On a real chain, signed by all: votes in round 1, an error in round 2, a model in round 3."""
    liars = new_request(market, rounds=3)
    liars.post_round(worse=400)
    liars.post_round(better=300)
    liars.post_round(made_up=liars.history.initial)
    liars.deliver_and_settle()
    report = audit(market.client, market.store, liars.id, market.auditor)
    found = {item.name: item.detail for item in report.failed}
    assert sorted(found) == ["aggregates", "global_errors", "scores"]
    assert found["scores"].startswith("round 1: seat 0 has median")
    assert found["global_errors"].startswith("round 2: error")
    assert found["aggregates"].startswith("round 3: 0x")


# ---------------------------------------------------------------------- the terms, the pool


def other_window(t: Told) -> None:
    t.event("RequestCreated").args["terms"]["deliverWindow"] += 1


def spoilt_initial_model(t: Told) -> None:
    t.spoil(t.committee.spec.initial_model)


def spoilt_slice(t: Told) -> None:
    t.spoil(t.committee.spec.evaluation[1].cid)


def other_consent(t: Told) -> None:
    t.event("Joined", 1).args["attributes"] = bytes(31) + b"\1"


def more_samples(t: Told) -> None:
    t.event("Joined", 2).args["samples"] += 1


def unsigned_consent(t: Told) -> None:
    joined = t.event("Joined", 1)
    known = t.facts.transaction(joined.tx_hash)
    given = bytes.fromhex(known["input"][2:])
    inputs = contract_abi("TrainingPool", SECOND).functions["enrol"].inputs
    signature = bytes(inputs.decode(given[4:])[2])[:32]
    t.calldata(joined, signature, bytes([signature[0] ^ 1]) + signature[1:])


def uninvited(t: Told) -> None:
    market = t.committee.market
    others = (market.people.requester, market.people.registrar, market.auditor)
    t.another_specification(invited=tuple(one.address for one in others))


def started_by_another(t: Told) -> None:
    t.event("Started").args["member"] = t.committee.members[1].address


def started_out_of_turn(t: Told) -> None:
    """By the second member, whose turn begins a start window after the first's."""
    started = t.event("Started")
    started.args.update(member=t.committee.members[1].address, index=1)


def other_seed(t: Told) -> None:
    t.event("RoundOpened", 1).args["seed"] = bytes(31) + b"\1"


def spoilt_keys(t: Told) -> None:
    digest = bytes(t.event("Started").args["start"]["manifest"])
    t.spoil(Cid.of_digest(digest, 1))


def keys_for_some(t: Told) -> None:
    start = t.event("Started").args["start"]
    manifest = Manifest.decode(t.store.get(Cid.of_digest(bytes(start["manifest"]), 1), 2**18))
    seals = dict(manifest.seals)
    del seals[t.committee.members[2].address.lower()]
    start["manifest"] = t.store.put(replace(manifest, seals=seals).encode()).digest


# ---------------------------------------------------------------------- what was posted


def unsigned_model(t: Told) -> None:
    t.spoil_signature(t.event("ModelsSubmitted"), "submit")


def other_model(t: Told) -> None:
    event = t.event("ModelsSubmitted")
    event.args["digests"] = (bytes(31) + b"\1", *event.args["digests"][1:])


def unsigned_slice(t: Told) -> None:
    t.spoil_signature(t.event("SliceOpened"), "openSlice")


def unsigned_commitment(t: Told) -> None:
    t.spoil_signature(t.event("VotesCommitted"), "commitVotes")


def other_salt(t: Told) -> None:
    t.calldata(t.event("VotesRevealed"), bytes([1, 2]) * 16, bytes([1, 3]) * 16)


def other_vote(t: Told) -> None:
    event = t.event("VotesRevealed")
    event.args["votes"] = (event.args["votes"][0] + (100 << 28), *event.args["votes"][1:])


def unsigned_attestation(t: Told) -> None:
    t.spoil_signature(t.event("Attested"), "attest")


def unsigned_record(t: Told) -> None:
    t.spoil_signature(t.event("RoundPosted"), "postRound")


# ---------------------------------------------------------------------- what it comes to


def board(t: Told) -> dict[str, Any]:
    found: dict[str, Any] = t.event("RoundTallied").args["board"]
    return found


def other_median(t: Told) -> None:
    board(t)["medians"] += 1


def other_inclusion(t: Told) -> None:
    board(t)["included"] &= ~1


def hidden_blindness(t: Told) -> None:
    t.event("RoundTallied").args["blind"] = True


def other_points(t: Told) -> None:
    board(t)["points"] += 1


def a_fault(t: Told) -> None:
    board(t)["faults"] = 1


def other_error(t: Told) -> None:
    t.event("RoundFinalised").args["error_"] += 1


def fewer_approvals(t: Told) -> None:
    t.event("RoundFinalised", 1).args["approvals"] &= ~1


def other_leader(t: Told) -> None:
    args = t.event("RoundFinalised", 1).args
    args["leader"] = (args["leader"] + 1) % 3


def other_entry(t: Told) -> None:
    t.event("Credited", -1).args["digest"] = bytes(31) + b"\1"


def another_poster(t: Told) -> None:
    """Of the tally, which anybody may send."""
    tx_hash = t.event("RoundTallied").tx_hash
    stranger = t.committee.market.people.requester.address
    known = t.facts.transaction(tx_hash)
    t.facts._transactions[tx_hash] = {**known, "from": stranger}


def other_start(t: Told) -> None:
    t.event("Started").args["start"]["committeeKey"] = bytes(31) + b"\1"


def other_history(t: Told) -> None:
    t.view("state", history=bytes(32))


def a_member_not_awaited(t: Told) -> None:
    t.event("RoundOpened").args["expected"] &= ~1


def other_log(t: Told) -> None:
    t.event("SliceOpened").args["log"] = bytes(32)


def log_before_the_tally(t: Told) -> None:
    t.event("RoundTallied").args["log"] = bytes(32)


def another_end(t: Told) -> None:
    t.event("RoundsEnded").args["round"] -= 1


def target_reached(t: Told) -> None:
    t.event("RoundsEnded").args["reached"] = True


def smaller_epsilon(t: Told) -> None:
    privacy = t.committee.spec.privacy.model_copy(update={"epsilon": 2.0})
    t.another_specification(privacy=privacy)


# ---------------------------------------------------------------------- models, keys


def spoilt_model(t: Told) -> None:
    t.spoil(Cid.of_digest(bytes(t.event("ModelsSubmitted").args["digests"][1]), 1))


def other_key_hash(t: Told) -> None:
    t.event("Started").args["start"]["keyHash"] = bytes(31) + b"\1"


# ---------------------------------------------------------------------- delivery, money


def other_delivery(t: Told) -> None:
    t.event("Delivered").args["delivery"]["cipher"] = bytes(31) + b"\1"


def no_delivery(t: Told) -> None:
    t.events.remove(t.event("Delivered"))


def larger_pool(t: Told) -> None:
    t.event("Settled").args["pool"] += 1


def settled_early(t: Told) -> None:
    """By a stranger, before the requester could dispute."""
    tx_hash = t.event("Settled").tx_hash
    known = t.facts.transaction(tx_hash)
    t.facts._transactions[tx_hash] = {**known, "from": t.committee.members[0].address}


def paid(t: Told, account: str) -> dict[str, Any]:
    number = t.committee.id
    found = [one.args for one in t.events if one.name == "Paid" and one.args["request"] == number]
    return [args for args in found if args["account"] == account][-1]


def overpaid(t: Told) -> None:
    paid(t, t.committee.members[1].address)["amount"] += 1


def refunded_more(t: Told) -> None:
    paid(t, t.committee.market.people.requester.address)["amount"] += 1


def stranger_paid(t: Told) -> None:
    event = deepcopy(t.event("Paid"))
    event.args.update(account=t.committee.market.auditor.address, amount=1)
    t.events.append(event)


def empty_market(t: Told) -> None:
    held, resale = t.facts.held, t.facts.deployment.resale
    t.facts.held = lambda token, at=None: held(token, at) if at == resale else 0  # type: ignore[method-assign]


def better_quality(t: Told) -> None:
    t.event("ProvidersRecorded").args["outcomes"][0]["quality"] += 1


def better_requester(t: Told) -> None:
    t.event("RequesterRecorded").args["outcome"]["quality"] -= 1


def other_price(t: Told) -> None:
    t.event("ResaleOffered").args["price"] += 1


def other_price_in_the_specification(t: Told) -> None:
    t.another_specification(resale=t.committee.spec.resale.model_copy(update={"price": PRICE + 1}))


def more_time_to_dispute(t: Told) -> None:
    t.event("KeySealed").args["deadline"] += 1


def sealed_by_another(t: Told) -> None:
    t.event("KeySealed").args["index"] = 1


def more_makers(t: Told) -> None:
    t.event("PointsTallied").args["points"] += 1


def empty_resale_market(t: Told) -> None:
    resale = t.facts.deployment.resale
    held = t.facts.held
    t.facts.held = lambda token, at=None: 0 if at == resale else held(token, at)  # type: ignore[method-assign]


def junk_on_record(t: Told) -> None:
    event = deepcopy(t.event("ResaleOffered"))
    requester = t.committee.market.people.requester.address
    facts = {"request": t.committee.id, "requester": requester, "digest": t.store.put(b"{}").digest}
    t.events.append(replace(event, name="RetrievalRecorded", args=facts))


def another_key_sold(t: Told) -> None:
    t.event("KeySealed").args["cipher"] = bytes(31) + b"\1"


HASHED = {"history"}
"""The hash on chain contradicts as well."""
PAID = {
    *("settlement", "payments", "refund", "conservation"),
    *("reputation", "requester_reputation"),
}
"""Without a delivery nothing is due."""
Case = tuple[Callable[[Told], None], set[str]]
PUBLIC: list[Case] = [
    # The window is also that of a buyer that waits for its key.
    (other_window, {"specification_digest", "purchases"} | HASHED),
    (spoilt_initial_model, {"initial_model"}),
    (spoilt_slice, {"evaluation_slices"}),
    (other_consent, {"opt_ins"}),
    (more_samples, {"opt_ins"}),
    (unsigned_consent, {"opt_ins"}),
    (uninvited, {"invited"} | HASHED),
    (started_by_another, {"starts"}),
    (started_out_of_turn, {"starts"}),
    (other_seed, {"draws"}),
    (spoilt_keys, {"key_manifest"}),
    (keys_for_some, {"key_manifest"} | HASHED),
    (unsigned_model, {"submissions"}),
    (other_model, {"submissions"} | HASHED),
    (unsigned_slice, {"slices"}),
    (unsigned_commitment, {"commitments"}),
    (other_salt, {"commitments"}),
    (other_vote, {"commitments", "medians", "points"} | HASHED),
    (unsigned_attestation, {"attestations"}),
    (unsigned_record, {"records"}),
    (other_median, {"medians"}),
    (other_inclusion, {"included"}),
    (hidden_blindness, {"included"}),
    (other_points, {"points"}),
    (a_fault, {"faults"}),
    (other_error, {"finals"}),
    (fewer_approvals, {"finals"}),
    (other_leader, {"leader_order"}),
    (other_entry, {"credits"}),
    (another_poster, {"gas_refunds"}),
    (other_start, HASHED),
    (other_history, HASHED),
    (a_member_not_awaited, {"outcome"}),
    (other_log, HASHED),
    (log_before_the_tally, HASHED),
    (another_end, {"outcome"}),
    (target_reached, {"outcome"}),
    (smaller_epsilon, {"privacy"} | HASHED),
    (spoilt_model, {"artefacts"}),
    (other_delivery, {"delivery"}),
    (no_delivery, {"delivery"} | PAID),
    (larger_pool, {"settlement"}),
    (settled_early, {"settlement"}),
    (overpaid, {"payments", "conservation"}),
    (refunded_more, {"refund", "conservation"}),
    (stranger_paid, {"posters", "conservation"}),
    (empty_market, {"conservation"}),
    (better_quality, {"reputation"}),
    (better_requester, {"requester_reputation"}),
    (other_price, {"purchases"}),
    (other_price_in_the_specification, {"purchases"} | HASHED),
    (more_time_to_dispute, {"purchases"}),
    (sealed_by_another, {"purchases"}),
    (more_makers, {"purchases"}),
    (empty_resale_market, {"purchases"}),
    (junk_on_record, {"retrieval_record"}),
]
OPENED: list[Case] = [
    (other_key_hash, {"request_key"} | HASHED),
    (other_start, {"start_keys"} | HASHED),
    (another_key_sold, {"sold_keys"}),
    # What follows from the model is unavailable: the store gives up what is damaged.
    (spoilt_model, {"artefacts"}),
]


def failed(items: tuple[AuditItem, ...]) -> set[str]:
    return {item.name for item in items if item.verdict is Verdict.FAILS}


@pytest.mark.parametrize(("falsify", "expected"), PUBLIC, ids=[one.__name__ for one, _ in PUBLIC])
def test_that_item_fails(told: Told, falsify: Callable[[Told], None], expected: set[str]) -> None:
    falsify(told)
    items = told.inspected()
    assert failed(items) == expected, [f"{one.name}: {one.verdict}, {one.detail}" for one in items]


@pytest.mark.parametrize(("falsify", "expected"), OPENED, ids=[one.__name__ for one, _ in OPENED])
def test_that_item_fails_for_an_auditor_with_a_seal(
    market: DigitsMarket, told: Told, falsify: Callable[[Told], None], expected: set[str]
) -> None:
    falsify(told)
    items = told.inspected(market.auditor)
    assert failed(items) == expected, [f"{one.name}: {one.verdict}, {one.detail}" for one in items]
