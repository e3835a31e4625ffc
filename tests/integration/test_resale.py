"""A finished result is offered, bought again, sealed by its makers' daemons, paid and audited."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.audit import Verdict, audit
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import InvalidInput, NotReady
from fedpact.requester import Requester
from fedpact.requester.draft import Draft
from fedpact.types.resale import PurchaseStatus
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import PAYMENT, POLL, World, running_world

PRICE = 10**16 + 1
WINDOW = 15
"""Seconds in which a key must come."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=3, rounds=1) as started:
        yield started


def draft(world: World) -> Draft:
    windows = {**world.data.draft.fields["windows"], "deliver": WINDOW}
    return world.data.draft.changed(windows=windows, resale={"price": f"{PRICE} wei"})


def buyer(world: World, name: str, organisation: int) -> tuple[AccountKeys, Requester]:
    keys = world.network.account(name)
    world.network.register(world.registrar, keys, organisation)
    network = world.network
    return keys, Requester(network.client, network.store, keys, network.folder / "state")


def run(world: World, account: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command as a person gives it, with nobody there to be asked."""
    config = world.network.folder / f"{account}.toml"
    config.write_text(world.network.settings(account, POLL))
    return subprocess.run(
        [sys.executable, "-m", "fedpact", "--config", config, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_result_is_offered_bought_sealed_paid_and_audited(world: World) -> None:
    client, resale = world.network.client, world.network.client.resale
    for number in range(3):
        world.serve(number)
    world.network.wait_until_serving()
    request = world.requester.create(draft(world), world.data.evaluation, PAYMENT)
    assert resale.offered(request) == (PRICE, 0)
    world.requester.follow(request, poll_interval=POLL)
    _, as_carol = buyer(world, "carol", 20)

    # Offered, never used in silence: where nobody can be asked, nothing is published or bought.
    asked = world.network.folder / "asked.json"
    asked.write_text(json.dumps(world.data.draft.fields))
    shown = run(world, "carol", "request", "offers", asked, "--json")
    (offer,) = json.loads(shown.stdout)
    assert (offer["request_id"], offer["price"], offer["refusal"]) == (request, PRICE, "")
    assert offer["error"] == client.rounds.final_error(request)
    assert (offer["contributors"], offer["organisations"], offer["payment"]) == (3, 3, PAYMENT)
    assert offer["doubts"] == ["made by 3 organisations: two can decide alone"]
    create = (
        "request",
        "create",
        asked,
        "--evaluation",
        world.data.files[0],
        "--payment",
        "1 ether",
    )
    refused = run(world, "carol", *create)
    assert refused.returncode == InvalidInput.exit_code
    assert f"fedpact request buy {request}" in refused.stderr
    assert client.market.request_count() == request
    # To those who have it already it is not offered.
    assert [one.refusal for one in world.requester.offers(world.data.draft)] == [
        "your organisation requested it or made it"
    ]

    # Bought: the first member is away, so the next one seals in its turn, though it has started
    # again since, with another encryption key than the one to which the request's key was sealed.
    first, second, _ = (member.account for member in client.rounds.members(request))
    gone, next_one = (world.number_of(account) for account in (first, second))
    world.kill(gone)
    world.kill(next_one)
    keys = world.accounts[next_one]
    client.registry.set_encryption_key(keys, bytes(keys.encryption_key(2).public_key))
    world.serve(next_one)
    with pytest.raises(InvalidInput, match=r"more than the limit of 1 wei$"):
        as_carol.buy(request, most=1)
    bought = run(world, "carol", "request", "buy", request, "--wait")
    assert bought.returncode == 0, bought.stderr
    sealed = [e.args["holder"] for e in resale.events(request) if e.name == "KeySealed"]
    assert sealed == [second]
    model = as_carol.fetch(request)
    assert model.path.read_bytes() == world.requester.fetch(request).path.read_bytes()

    # Paid by points; who was away claims when it is back.
    world.serve(gone)
    points, _ = client.rounds.points(request)
    shares = [PRICE * own // sum(points) for own in points]
    wait_until(lambda: not any(resale.claimable(request, seat) for seat in range(3)))
    claims = {
        e.args["seat"]: e.args["amount"]
        for e in resale.events(request)
        if e.name == "ResaleClaimed"
    }
    assert claims == dict(enumerate(shares))
    assert client.balance(resale.address) == PRICE - sum(shares)

    # Nobody is there any more: the next buyer gets its money back, after the deadline.
    for number in range(3):
        world.kill(number)
    dave, as_dave = buyer(world, "dave", 21)
    as_dave.buy(request)
    with pytest.raises(NotReady, match="no refund is due now"):
        as_dave.refund(request)
    world.network.devnet.mine(1 + WINDOW)
    with pytest.raises(NotReady, match="no member sealed its key in time"):
        as_dave.await_key(request)
    with pytest.raises(NotReady, match="no model has been delivered"):
        as_dave.fetch(request)
    assert as_dave.refund(request) == PRICE
    assert resale.purchase(request, dave.address).status is PurchaseStatus.REFUNDED

    report = audit(client, world.network.store, request)
    assert report.failed == []
    assert report.verdict("purchases") is Verdict.HOLDS
