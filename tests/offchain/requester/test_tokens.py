"""Requests that pay in an ERC-20 token: the draft names it, the escrow takes it, members get it."""

from contextlib import closing

import pytest

from fedpact.chain.bindings.events import Paid
from fedpact.chain.bindings.token import currency_at, shown_currency
from fedpact.chain.failover import Nodes
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.requests import Status
from tests.offchain.requester.conftest import Played, Scene
from tests.offchain.requester.requests_of_digits import evaluation
from tests.support.chain_request import People
from tests.support.tokens import new_token

PAY = 12_000_001
"""12.000001 of a token with six decimals."""


@pytest.mark.parametrize("name", ["BareToken", "PlainToken"])
def test_a_draft_pays_in_a_token_and_members_are_paid_in_it(
    scene: Scene, people: People, operator: AccountKeys, name: str
) -> None:
    """BareToken takes no permit: the requester allows exactly the pay. PlainToken needs no second
    transaction."""
    token = new_token(scene.client, operator, name, **{people.requester.address: PAY})
    draft = scene.draft({"token": token.address.lower()})
    assert scene.requester.currency(draft).token == token.address
    request = Played(scene, scene.requester.create(draft, evaluation(), PAY)).begin()
    assert token.balance_of(people.requester.address) == 0
    assert token.allowance(people.requester.address, scene.client.market.address) == 0
    request.finish_round()
    request.deliver()
    scene.daemon.cycle()
    assert request.status is Status.SETTLED
    held = [token.balance_of(keys.address) for keys in people.members]
    assert PAY - 3 < sum(held) <= PAY
    assert all(held)
    in_token = {one.account for one in request.happened(Paid) if one.token == token.address}
    assert in_token >= {keys.address for keys in people.members}


def test_a_refund_names_both_currencies(
    scene: Scene, people: People, operator: AccountKeys
) -> None:
    token = new_token(scene.client, operator, "BareToken", **{people.requester.address: PAY})
    draft = scene.draft({"token": token.address, "gas_per_round": "0.002 ether"})
    number = scene.requester.create(draft, evaluation(), PAY)
    scene.requester.cancel(number)
    assert scene.requester.refund(number).text == "12.000001 BARE and 0.002 ether"
    assert token.balance_of(people.requester.address) == PAY


def test_who_lacks_the_token_is_told_before_anything_is_sent(
    scene: Scene, operator: AccountKeys
) -> None:
    token = new_token(scene.client, operator, "BareToken")
    draft = scene.draft({"token": token.address})
    with pytest.raises(InvalidInput, match=r"holds 0 BARE, and 12\.000001 BARE is to be paid"):
        scene.requester.create(draft, evaluation(), PAY)
    with pytest.raises(InvalidInput, match="is not an ERC-20 token that reports its decimals"):
        scene.requester.currency(scene.draft({"token": operator.address}))
    with pytest.raises(SpecificationError, match="token"):
        scene.requester.currency(scene.draft({"token": "BARE"}))


def test_no_token_may_call_itself_what_it_likes(scene: Scene, operator: AccountKeys) -> None:
    token = new_token(scene.client, operator, "RudeToken")
    assert token.currency() == Currency(token.address, token.address[:8], 18)


def test_what_is_no_token_breaks_nobodys_list(scene: Scene) -> None:
    """Everybody's lists failed where one request named a contract that answers nonsense."""
    address = "0x" + "77" * 20
    nonsense = "0x7f" + "ff" * 32 + "5f5260205ff3"  # returns 32 bytes 0xff to every call
    with closing(Nodes(scene.anvil.url)) as node:
        node.call("anvil_setCode", address, nonsense)
    with pytest.raises(InvalidInput, match="answers decimals as no ERC-20 token does"):
        currency_at(scene.client, address)
    assert shown_currency(scene.client, address) == Currency(address, address[:8], 0)
    assert shown_currency(scene.client, scene.people.requester.address).decimals == 0


def test_amounts_are_exact(scene: Scene, operator: AccountKeys) -> None:
    bare = new_token(scene.client, operator, "BareToken").currency()
    assert (bare.symbol, bare.decimals) == ("BARE", 6)
    assert currency_at(scene.client, ETHER_CURRENCY.token) == ETHER_CURRENCY
    assert bare.parse("12.000001 BARE") == PAY
    assert [bare.text(n) for n in (0, 1, 1_500_000)] == ["0 BARE", "0.000001 BARE", "1.5 BARE"]
    for wrong in ("12", "12 ether", "0.0000001 BARE", "0 BARE", "-1 BARE", "x BARE", "NaN BARE"):
        with pytest.raises(InvalidInput):
            bare.parse(wrong)
