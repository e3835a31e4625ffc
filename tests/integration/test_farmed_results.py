"""A result made cheaply to be sold again: what a buyer sees of it, and what it can cost."""

from dataclasses import replace
from pathlib import Path

import pytest

from fedpact.audit import audit
from fedpact.audit.first.chain import ChainFacts
from fedpact.audit.first.evidence import gather
from fedpact.audit.first.resale import ResaleChecks
from fedpact.audit.report import Broken
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.scanner import EventScanner
from fedpact.content.keys import delivery_key, seal
from fedpact.data.dataset import Dataset
from fedpact.errors import DecryptionError, InvalidInput, NotReady, Reverted
from fedpact.provider.standing import claim
from fedpact.requester import Requester
from fedpact.types.resale import PurchaseStatus
from tests.support.committee import PAYMENT, Committee, Following, Market, open_market

PRICE = 10**16
DRAFT = {"rounds": 1, "resale": {"price": PRICE}}


def played(market: Market, payment: int, **changes: object) -> Committee:
    """A request of one round, delivered and claimed."""
    draft = market.draft(**{**DRAFT, **changes})
    request_id = market.requester.create(draft, market.evaluation, payment)
    committee = Committee(market, request_id)
    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round()
        committee.deliver()
    committee.claim_all()
    return committee


def easy(market: Market, committee: Committee) -> Dataset:
    """Of each label, examples that a finished model gets right."""
    from fedpact.learning.families import family_of

    spec, model = committee.spec, committee.replay.global_model(1)
    x, y = market.evaluation.x, market.evaluation.y
    right = family_of(spec).predict(spec, model, x).argmax(axis=1) == y
    return Dataset(x[right], y[right], ())


@pytest.fixture(scope="module")
def street(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Seven providers: three honest, three of a farmer's, one that would buy."""
    return open_market(anvil, tmp_path_factory.mktemp("street"), providers=7)


@pytest.fixture(scope="module")
def honest(street: Market) -> Committee:
    own = replace(street, providers=street.providers[:3], parts=street.parts[:3])
    return played(own, PAYMENT)


@pytest.fixture(scope="module")
def farmed(street: Market, honest: Committee) -> Committee:
    """One wei, own committee, own evaluation set."""
    own = replace(
        street,
        requester_keys=street.auditor,
        providers=street.providers[3:6],
        parts=street.parts[3:6],
        evaluation=easy(street, honest),
        folder=street.folder / "farm",
    )
    return played(own, 1)


@pytest.fixture
def buyer(street: Market, tmp_path: Path) -> tuple[AccountKeys, Requester]:
    keys = street.providers[6]
    return keys, Requester(street.client, street.store, keys, tmp_path)


def test_a_farmed_result_has_the_lower_error_and_shows_its_origin(
    street: Market, honest: Committee, farmed: Committee, buyer: tuple[AccountKeys, Requester]
) -> None:
    keys, requester = buyer
    before = street.client.balance(keys.address)
    first, second = requester.offers(street.draft(rounds=1))

    assert (first.request_id, second.request_id) == (honest.request_id, farmed.request_id)
    assert first.error is not None
    assert second.error is not None
    assert second.error < first.error
    assert first.doubts == ("made by 3 organisations: two can decide alone",)
    assert second.doubts == (
        f"paid 1 wei, below the {10**15} from which work counts",
        "costs more than the 1 wei for which it was made",
        "made by 3 organisations: two can decide alone",
        "no contributor has a reputation above a newcomer's",
    )
    assert (second.payment, second.organisations) == (1, 3)
    assert first.reputation > second.reputation
    assert street.client.balance(keys.address) == before


def test_bought_all_the_same_it_costs_its_price_and_no_more(
    street: Market, farmed: Committee, buyer: tuple[AccountKeys, Requester]
) -> None:
    keys, requester = buyer
    resale, request = street.client.resale, farmed.request_id
    requester.buy(request)
    farmer, accomplice = street.providers[3:5]
    # A key that opens nothing: the money is gone, the chain cannot tell.
    resale.seal(farmer, request, 0, keys.address, bytes(80))
    with pytest.raises(DecryptionError, match="none of 1 delivered keys opens the model"):
        requester.fetch(request)
    assert resale.purchase(request, keys.address).status is PurchaseStatus.SEALED
    with pytest.raises(Reverted, match="NothingBought"):
        resale.refund(keys, request)
    assert resale.offered(request) == (PRICE, PRICE)

    # Any other member with points may mend it, and earns nothing more by it.
    key = delivery_key(farmed.key, street.client.deployment.fingerprint, request, 1)
    public = bytes(keys.encryption_key().public_key)
    resale.seal(accomplice, request, 1, keys.address, seal(public, key, bytes(32)))
    assert requester.fetch(request).error == street.client.rounds.final_error(request)
    assert resale.offered(request) == (PRICE, PRICE)
    # By hand, where no daemon does it.
    points, _ = street.client.rounds.points(request)
    assert claim(street.client, farmer, request) == PRICE * points[0] // sum(points)
    with pytest.raises(NotReady, match="nothing to claim"):
        claim(street.client, farmer, request)
    assert audit(street.client, street.store, request).failed == []


def test_a_price_that_the_makers_did_not_agree_to_is_not_paid(
    street: Market, buyer: tuple[AccountKeys, Requester]
) -> None:
    _, requester = buyer
    own = replace(street, providers=street.providers[:3], parts=street.parts[:3])
    request = own.requester.create(
        own.draft(rounds=1, title="Not for sale"), own.evaluation, 10**15
    )
    # The requester offers what its specification keeps to itself.
    street.client.resale.offer(street.requester_keys, request, 1)
    committee = Committee(own, request)
    with Following(own, request):
        committee.join_and_start()
        committee.play_round()
        committee.deliver()

    found = {one.request_id: one for one in requester.offers_like(request)}
    assert found[request].refusal == "its specification does not allow resale"
    with pytest.raises(InvalidInput, match="does not allow resale"):
        requester.buy(request)
    report = audit(street.client, street.store, request)
    assert [item.name for item in report.failed] == ["purchases"]


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("ResaleOffered", {"price": PRICE + 1}, "paid"),
        ("ResultBought", {"price": PRICE - 1}, "paid"),
        ("ResultBought", {"deadline": 1}, "deadline"),
        ("KeySealed", {"holder": "0x" + 40 * "1"}, "has no points"),
        ("KeySealed", {"buyer": "0x" + 40 * "1"}, "had not paid"),
        ("KeySealed", None, "on chain"),
    ],
)
def test_an_auditor_notices_a_changed_or_hidden_sale(
    street: Market,
    honest: Committee,
    buyer: tuple[AccountKeys, Requester],
    name: str,
    changes: dict[str, object] | None,
    said: str,
) -> None:
    keys, requester = buyer
    client, request = street.client, honest.request_id
    if client.resale.purchase(request, keys.address).status is PurchaseStatus.NONE:
        requester.buy(request)
        client.resale.seal(street.providers[1], request, 1, keys.address, bytes(80))
    facts = ChainFacts(client, request, client.frame())
    evidence = gather(request, EventScanner(client, client.deployment.block).scan(facts.frame))
    assert ResaleChecks(evidence, facts, lambda: honest.spec).purchases().startswith("sold 1 times")

    [index] = [i for i, event in enumerate(evidence.resale) if event.name == name]
    event = evidence.resale.pop(index)
    if changes is not None:
        evidence.resale.insert(index, replace(event, args={**event.args, **changes}))
    with pytest.raises(Broken, match=said):
        ResaleChecks(evidence, facts, lambda: honest.spec).purchases()


def test_the_makers_do_not_buy_from_themselves(street: Market, farmed: Committee) -> None:
    """So sales are no sign of quality that a farm could make up within itself."""
    puppet = street.providers[4]
    accounts = street.client.rounds.committee(farmed.request_id)
    with pytest.raises(Reverted, match="TookPart"):
        street.client.resale.buy(puppet, farmed.request_id, accounts, PRICE)
    requester = Requester(street.client, street.store, puppet, street.folder / "puppet")
    found = {one.request_id: one for one in requester.offers_like(farmed.request_id)}
    assert "your organisation" in found[farmed.request_id].refusal
