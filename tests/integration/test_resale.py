"""Resale of a result, with daemons as processes: one maker seals a wrong key and
loses its part, the next one seals the right one, and the makers share the price."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fedpact.audit import audit
from fedpact.chain.bindings.events import (
    Credited,
    KeySealed,
    ResaleClaimed,
    ResultSold,
    SealDisputed,
    Settled,
)
from fedpact.chain.keystore import AccountKeys
from fedpact.provider.ledger.report import privacy_verify
from fedpact.provider.ledger.submissions import submissions
from fedpact.requester.requester import Requester
from fedpact.types.resale import SaleStatus
from tests.support.chain_request import admit
from tests.support.waiting import wait_until
from tests.support.world import PAY, POLL, World, running_world

PROVIDERS, ROUNDS = 3, 1
PRICE = 10**16
BUYER_ORGANISATION = 50


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS) as started:
        for number in range(PROVIDERS):
            started.serve(number)
        started.network.wait_until_serving()
        yield started


def requester_of(world: World, keys: AccountKeys) -> Requester:
    return Requester(world.client, world.network.store, keys, world.network.folder / "state")


def test_a_result_is_sold_though_one_maker_seals_a_wrong_key(world: World) -> None:
    requester = requester_of(world, world.requester_keys)
    fields = world.data.draft.fields
    draft = world.data.draft.changed(
        resale={"price": PRICE},
        windows={**fields["windows"], "deliver": 40},
        terms={**fields["terms"], "dispute_window": 5},
        auditors=[world.auditor.address],
    )
    request = requester.create(draft, world.data.evaluation, PAY)
    requester.follow(request, poll_interval=POLL)
    assert world.events(request, Settled)

    buyer = world.network.account("buyer")
    admit(world.client, world.registrar, buyer, BUYER_ORGANISATION)
    market = requester_of(world, buyer)
    [offer] = market.offers_like(request)
    assert (offer.price, offer.refusal, offer.contributors) == (PRICE, "", PROVIDERS)

    # Its releases are on chain, and in its ledger.
    for keys in world.accounts:
        state = world.network.folder / "state"
        ask = partial(submissions, world.client, keys.address)
        assert privacy_verify(state, keys, ask).submissions == ROUNDS

    # The first maker seals zeros before the others' turn.
    [first, *others] = world.client.pool.members(request)
    liar = next(n for n, keys in enumerate(world.accounts) if keys.address == first.account)
    world.kill(liar)
    resale = world.client.resale
    entries = [one.entry for one in world.events(request, Credited)]
    world.client.send(world.accounts[liar], resale.tally(request, bytes(32), entries))
    bought = market.buy(request, PRICE)
    assert bought.price == PRICE
    world.client.send(world.accounts[liar], resale.seal(request, 0, buyer.address, bytes(32)))

    market.await_key(request, poll_interval=POLL)
    fetched = market.fetch(request)
    assert fetched.path.read_bytes() == requester.model_path(request).read_bytes()
    [disputed] = world.events(request, SealDisputed)
    assert disputed.index == 0
    assert [one.index for one in world.events(request, KeySealed)] == [0, 1]

    accounts = {one.account for one in others}
    wait_until(
        lambda: {one.maker for one in world.events(request, ResaleClaimed)} == accounts,
        world.logs,
    )
    claimed = sum(one.amount for one in world.events(request, ResaleClaimed))
    assert PRICE - PROVIDERS <= claimed <= PRICE
    assert len(world.events(request, ResultSold)) == 1
    assert resale.purchase(request, buyer.address).status is SaleStatus.SOLD

    report = audit(world.client, world.network.store, request, world.auditor)
    report.check()
    found = {item.name: item.detail for item in report.items}
    assert found["purchases"] == "1 of 1 sales final, 1 wrong keys shown"
    assert found["sold_keys"] == "1 keys"
