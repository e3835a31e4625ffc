"""Both sides of a resale: what a buyer's service and a maker's daemon do, and what they refuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.chain.bindings.events import (
    Credited,
    PurchaseRefunded,
    ResaleClaimed,
    ResultBought,
    ResultSold,
    SealDisputed,
)
from fedpact.chain.bindings.market import Market
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.scanner import EventScanner
from fedpact.content.delivery import Deliveries
from fedpact.errors import InvalidInput, NotReady, TransactionTimeout
from fedpact.provider.claim import claim
from fedpact.provider.context import Cache, DutyResult
from fedpact.provider.duties.selling import resold, sell_result
from fedpact.provider.files import state_file
from fedpact.provider.overview import standing
from fedpact.provider.request.facts import look
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.requester import serve
from fedpact.requester.requester import Requester, requests
from fedpact.types.resale import SaleStatus
from fedpact.types.specification import Specification
from tests.offchain.requester.conftest import Played, Scene
from tests.support.chain_request import REQUEST_KEY, admit, read_events
from tests.support.patient_service import PatientService

PRICE = 10**16
ORGANISATION = 500
"""Of the first buyer."""


@dataclass
class Maker:
    """A member's duties on a result that is for sale."""

    keys: AccountKeys
    ctx: Any
    request: int

    def look(self) -> Any:
        """Read all events, and the request at the latest block."""
        ctx = self.ctx
        read_events(ctx.client, ctx.state)
        return look(ctx, self.request, ctx.client.frame())

    def due(self) -> bool:
        return self.request in resold(self.ctx, self.look().frame)

    def act(self) -> DutyResult:
        return sell_result(self.look())


@dataclass
class Buyer:
    keys: AccountKeys
    requester: Requester

    def service(self) -> PatientService:
        """Newly started."""
        return PatientService(self.requester, 0.01)


class Sale:
    """A settled request whose result is on offer."""

    def __init__(self, scene: Scene, operator: AccountKeys) -> None:
        self.scene, self.operator, self.client = scene, operator, scene.client
        self.request: Played = scene.create(resale={"price": PRICE}).begin()
        self.request.finish_round()
        self.request.deliver()
        scene.daemon.cycle()
        self.id = self.request.id
        self.makers = [self._maker(keys) for keys in self._members()]

    def _members(self) -> list[AccountKeys]:
        by_address = {keys.address: keys for keys in self.scene.people.members}
        return [by_address[one.account] for one in self.client.pool.members(self.id)]

    def _maker(self, keys: AccountKeys) -> Maker:
        path = state_file(self.scene.folder / "provider", self.client.deployment, keys.address)
        path.parent.mkdir(parents=True, exist_ok=True)
        cache = Cache(request_keys={self.id: REQUEST_KEY})
        ctx = SimpleNamespace(
            client=self.client,
            deployment=self.client.deployment,
            keys=keys,
            fetching=SimpleNamespace(take=lambda _, *what: self.scene.store.get(*what)),
            state=ProviderState(path, self.client.deployment, keys.address),
            cache=cache,
            exchange=None,
        )
        return Maker(keys, ctx, self.id)

    def buyer(self) -> Buyer:
        """Admitted, with an organisation of its own."""
        keys = self.scene.anvil.new_account()
        admit(self.client, self.operator, keys, ORGANISATION + int(keys.address, 16) % 65_000)
        state = self.scene.folder / f"state-{keys.address}"
        return Buyer(keys, Requester(self.client, self.scene.store, keys, state))

    def sold_to(self, buyer: Buyer, index: int = 0, *, wrong: bool = False) -> None:
        """Buy, and have a member seal its key, or zeros."""
        buyer.requester.buy(self.id)
        self.tally()
        self.seal(buyer, index, wrong=wrong)

    def tally(self) -> None:
        resale = self.client.resale
        if not resale.offered(self.id).tallied:
            entries = [one.entry for one in self.request.happened(Credited)]
            self.client.send(self.makers[0].keys, resale.tally(self.id, bytes(32), entries))

    def seal(self, buyer: Buyer, index: int, *, wrong: bool = False) -> None:
        to, here = buyer.requester.delivery_key, self.client.deployment.fingerprint
        rounds = self.request.terms.max_rounds
        sealed = Deliveries.seal(REQUEST_KEY, to, here, self.id, rounds).ciphers[0]
        cipher = bytes(32) if wrong else sealed
        call = self.client.resale.seal(self.id, index, buyer.keys.address, cipher)
        self.client.send(self.makers[index].keys, call)

    def status(self, buyer: Buyer) -> SaleStatus:
        return self.client.resale.purchase(self.id, buyer.keys.address).status


@pytest.fixture
def sale(scene: Scene, operator: AccountKeys) -> Sale:
    return Sale(scene, operator)


# -- The buyer's side ------------------------------------------------------------------------------


def test_nobody_buys_what_its_organisation_asked_for_or_made(sale: Sale) -> None:
    """The requester paid a second time for its own model, and had no way to take the price back."""
    made = Requester(sale.client, sale.scene.store, sale.makers[1].keys, sale.scene.folder / "made")
    for own in (sale.scene.requester, made):
        with pytest.raises(InvalidInput, match="your organisation requested it or was in its pool"):
            own.buy(sale.id)
        # Other tests leave results of the same question on this chain.
        [offer] = [one for one in own.offers_like(sale.id) if one.request_id == sale.id]
        assert offer.refusal == "your organisation requested it or was in its pool"
    assert not sale.request.happened(ResultBought)


def test_the_service_disputes_a_wrong_key_and_keeps_the_model_once(
    sale: Sale, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    buyer = sale.buyer()
    service = buyer.service()
    sale.sold_to(buyer, 0, wrong=True)
    service.cycle()
    [disputed] = sale.request.happened(SealDisputed)
    assert disputed.index == 0
    assert sale.status(buyer) is SaleStatus.PENDING
    sale.seal(buyer, 1)
    service.cycle()
    path = buyer.requester.model_path(sale.id)
    assert path.read_bytes() == sale.scene.requester.model_path(sale.id).read_bytes()
    assert "received the bought model" in caplog.text

    # Each start fetched and wrote all models again that were ever bought.
    os.utime(path, (1, 1))
    caplog.clear()
    for _ in range(2):
        buyer.service().cycle()
    assert path.stat().st_mtime == 1
    assert not [one for one in caplog.messages if "model" in one]


def test_the_service_takes_the_price_back_once_no_key_can_come(
    sale: Sale, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    buyer = sale.buyer()
    service = buyer.service()
    buyer.requester.buy(sale.id)
    service.cycle()
    sale.scene.wait(sale.request.terms.deliver_window + 1)
    service.cycle()
    assert sale.status(buyer) is SaleStatus.REFUNDED
    assert "no key arrived: took 0.01 ether back" in caplog.text
    caplog.clear()
    buyer.service().cycle()
    assert len(sale.request.happened(PurchaseRefunded)) == 1
    assert not [one for one in caplog.messages if "took" in one]
    with pytest.raises(NotReady, match="took the price back"):
        buyer.requester.continue_purchase(sale.id)


def test_a_purchase_waits_for_no_transaction_while_slices_have_duties(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that nobody mined held up all slices, and the service's end, for three minutes."""
    caplog.set_level("INFO")
    buyer = sale.buyer()
    service = buyer.service()
    buyer.requester.buy(sale.id)
    service.cycle()
    sale.scene.wait(sale.request.terms.deliver_window + 1)
    sender, limits = sale.client.sender, list[float]()
    send, before = type(sender).send, sender.timeout

    def unmined(itself: Any, *given: Any) -> Any:
        limits.append(itself.timeout)
        raise TransactionTimeout("refund not mined within 0.3 s")

    monkeypatch.setattr(type(sender), "send", unmined)
    for _ in range(3):
        service.cycle()
    assert set(limits) == {serve.SEND_PATIENCE}
    assert sender.timeout == before
    assert not [one for one in caplog.records if one.levelname != "INFO"]
    monkeypatch.setattr(type(sender), "send", send)
    sale.scene.wait(1)
    buyer.requester.refund(sale.id)
    service.cycle()
    assert "the price of its result is back" in caplog.text


def test_the_service_gives_up_a_wrong_key_that_is_found_too_late(
    sale: Sale, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    buyer = sale.buyer()
    sale.sold_to(buyer, wrong=True)
    sale.scene.wait(sale.request.terms.dispute_window + 1)
    service = buyer.service()
    service.cycle()
    assert "the bought key does not open, too late to dispute" in caplog.text
    caplog.clear()
    service.cycle()
    assert not caplog.messages


def test_waiting_for_a_key_reads_no_history(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at a purchase read all events of the request, from its first block on."""
    buyer = sale.buyer()
    buyer.requester.buy(sale.id)
    scans = count_scans(monkeypatch)
    assert buyer.requester.continue_purchase(sale.id) == (False, "")
    assert scans == []


def test_a_list_of_requests_reads_those_of_the_account_alone(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read the events of each request that there ever was, from the first block on."""
    every = {one.request_id: one for one in requests(sale.client)}
    scans, created, find = count_scans(monkeypatch), list[int](), Market.created
    monkeypatch.setattr(
        Market, "created", lambda market, number: created.append(number) or find(market, number)
    )
    own = list(requests(sale.client, sale.scene.requester.keys.address))
    made = [one.request_id for one in own]
    assert made == created == sale.client.market.numbers_of(sale.scene.requester.keys.address)
    assert own == [every[number] for number in made]
    assert own[-1].request_id == sale.id
    assert (own[-1].payment, own[-1].rounds) == (sale.request.terms.pay, 1)
    created.clear()
    assert list(requests(sale.client, sale.buyer().keys.address)) == created == scans == []


def count_scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first block of each range of events that is read."""
    scans: list[int] = []
    read = EventScanner.scan

    def scan(scanner: EventScanner) -> Any:
        scans.append(1)
        return read(scanner)

    monkeypatch.setattr(EventScanner, "scan", scan)
    return scans


# -- The makers' side ------------------------------------------------------------------------------


def another_price(spec: Specification) -> Specification:
    assert spec.resale is not None
    return spec.model_copy(update={"resale": spec.resale.model_copy(update={"price": 1})})


def no_resale(spec: Specification) -> Specification:
    return spec.model_copy(update={"resale": None})


@pytest.mark.parametrize("agreed", [another_price, no_resale])
def test_a_maker_seals_for_no_price_but_the_agreed_one(
    sale: Sale, agreed: Callable[[Specification], Specification]
) -> None:
    buyer, maker = sale.buyer(), sale.makers[0]
    buyer.requester.buy(sale.id)
    sale.tally()
    spec = sale.scene.requester.specification(sale.id)
    maker.ctx.cache.specifications[sale.id] = agreed(spec)
    done = maker.act()
    assert not done.acted
    assert f"{buyer.keys.address} paid 0.01 ether, which is not what I agreed to" in done.reason


def test_makers_seal_in_turns_and_none_in_the_last_tenth_of_the_window(sale: Sale) -> None:
    buyer = sale.buyer()
    buyer.requester.buy(sale.id)
    first, second, _ = sale.makers
    assert "the members before me seal" in second.act().reason
    window = sale.request.terms.deliver_window
    sale.scene.wait(int(window * 0.95))
    assert "too late to seal" in first.act().reason
    assert "too late to seal" in second.act().reason
    sale.scene.wait(window)
    assert not first.due()
    assert "every buyer has a key" not in first.act().reason
    assert sale.status(buyer) is SaleStatus.PENDING


def test_the_second_maker_seals_where_the_first_does_not(sale: Sale) -> None:
    buyer, second = sale.buyer(), sale.makers[1]
    buyer.requester.buy(sale.id)
    sale.scene.wait(sale.request.terms.deliver_window // 3)
    assert second.act().acted  # stores the points
    assert second.act().acted
    assert buyer.requester.continue_purchase(sale.id) == (True, "")
    assert second.act().reason == "every buyer has a key"


def test_makers_take_what_an_excluded_one_forfeits(sale: Sale) -> None:
    """The others' daemons had taken their parts, and looked again at the next sale alone: where
    none came, the money stayed in the contract."""
    liar, *others = sale.makers
    first, second = sale.buyer(), sale.buyer()
    sale.sold_to(first, 1)
    sale.scene.wait(sale.request.terms.dispute_window + 1)
    for maker in others:
        assert maker.due()
        assert maker.act().acted
        assert not maker.due()
    sale.sold_to(second, 0, wrong=True)
    assert second.requester.continue_purchase(sale.id)[1].startswith("the sealed key does not open")
    sale.scene.wait(2 * sale.request.terms.deliver_window)
    second.requester.refund(sale.id)
    [disputed] = sale.request.happened(SealDisputed)
    assert disputed.forfeited > 0
    for maker in others:
        assert maker.due()
        assert maker.act().acted
        assert not maker.due()
    assert not liar.due() or liar.act().reason == "no share in the sales"
    claimed = sum(one.amount for one in sale.request.happened(ResaleClaimed))
    assert PRICE - 3 <= claimed <= PRICE


def test_a_share_in_resales_is_shown_and_claimed(sale: Sale) -> None:
    """`provider status` and `provider claim` knew of a request's own pay alone."""
    buyer, maker = sale.buyer(), sale.makers[2]
    maker.look()

    def shown() -> int:
        return standing(sale.client, sale.scene.folder / "provider", maker.keys.address)[
            -1
        ].claimable

    assert shown() == 0
    sale.sold_to(buyer)
    with pytest.raises(NotReady, match="all that was due has been paid"):
        claim(sale.client, maker.keys, sale.id)
    sale.scene.wait(sale.request.terms.dispute_window + 1)
    due = shown()
    assert PRICE // 5 < due < PRICE // 2
    [paid] = claim(sale.client, maker.keys, sale.id)
    assert (paid.account, paid.amount, paid.currency.text(1)) == (
        maker.keys.address,
        due,
        "0.000000000000000001 ether",
    )
    assert len(sale.request.happened(ResultSold)) == 1
    assert shown() == 0
    with pytest.raises(NotReady):
        claim(sale.client, maker.keys, sale.id)
    assert claim(sale.client, sale.makers[1].keys, sale.id)[0].amount > 0
