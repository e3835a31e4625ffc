"""A result made cheaply to be sold again: what a buyer sees of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from fedpact.audit import audit
from fedpact.chain.devnet import Devnet
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.requester.requester import Requester
from tests.support.committee import (
    PAYMENT,
    Committee,
    DigitsMarket,
    open_digits_market,
)

PRICE = 10**16


def played(market: DigitsMarket, payment: int, **changes: object) -> Committee:
    """A request of one round, delivered and settled."""
    draft = market.draft(rounds=1, privacy={"mode": "none"}, **changes)
    number = market.requester.create(draft, market.evaluation, payment)
    committee = Committee(market, number)
    committee.enrol_and_start()
    committee.post_round()
    committee.deliver_and_settle()
    return committee


def easy(market: DigitsMarket, committee: Committee) -> Dataset:
    """Of each label, examples that a finished model gets right."""
    from fedpact.learning.families import family_of

    spec, model = committee.spec, committee.replay.global_model(1)
    x, y = market.evaluation.x, market.evaluation.y
    right = family_of(spec).predict(spec, model, x).argmax(axis=1) == y
    return Dataset(x[right], y[right], ())


@pytest.fixture(scope="module")
def street(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    """Seven providers: three honest, three of a farmer's, one that would buy."""
    return open_digits_market(anvil, tmp_path_factory.mktemp("street"), providers=7)


def part(street: DigitsMarket, first: int, **changes: object) -> DigitsMarket:
    """The street with three of its providers."""
    people = replace(street.people, members=street.providers[first : first + 3], **changes)
    return replace(street, people=people, parts=street.parts[first : first + 3])


def test_a_farmed_result_has_the_lower_error_and_shows_its_origin(
    street: DigitsMarket, tmp_path: Path
) -> None:
    """One wei, own committee, own evaluation set."""
    sold = {"resale": {"price": PRICE}, "metric": "accuracy"}
    honest = played(part(street, 0), PAYMENT, **sold)
    farm = replace(
        part(street, 3, requester=street.auditor),
        evaluation=easy(street, honest),
        folder=street.folder / "farm",
    )
    farmed = played(farm, 1, **sold)
    keys = street.providers[6]
    buyer = Requester(street.client, street.store, keys, tmp_path)
    before = street.client.balance(keys.address)
    first, second = buyer.offers(
        street.draft(rounds=1, privacy={"mode": "none"}, metric="accuracy")
    )

    assert (first.request_id, second.request_id) == (honest.id, farmed.id)
    assert first.error is not None
    assert second.error is not None
    assert second.error < first.error
    assert len(first.doubts) < len(second.doubts)
    assert "costs more than the 0.000000000000000001 ether for which it was made" in second.doubts
    assert "no contributor has a reputation above a newcomer's" in second.doubts
    assert (second.payment, second.organisations) == (1, 3)
    assert first.reputation > second.reputation
    assert street.client.balance(keys.address) == before


def test_a_price_that_the_makers_did_not_agree_to_is_not_paid(
    street: DigitsMarket, tmp_path: Path
) -> None:
    """The requester offers what its specification keeps to itself."""
    own = part(street, 0)
    draft = own.draft(rounds=1, privacy={"mode": "none"}, title="Not for sale")
    number = own.requester.create(draft, own.evaluation, 10**15)
    client = street.client
    offer = client.resale.offer(number, client.market.terms(number), 1)
    client.send(street.requester_keys, offer)
    committee = Committee(own, number)
    committee.enrol_and_start()
    committee.post_round()
    committee.deliver_and_settle()

    buyer = Requester(client, street.store, street.providers[6], tmp_path)
    found = {one.request_id: one for one in buyer.offers_like(number)}
    assert found[number].refusal == "its specification does not allow resale"
    with pytest.raises(InvalidInput, match="does not allow resale"):
        buyer.buy(number)
    report = audit(client, street.store, number)
    assert [item.name for item in report.failed] == ["purchases"]
