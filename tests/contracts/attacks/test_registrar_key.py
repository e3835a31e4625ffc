"""A lost or stolen registrar key: what it can do, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eth_utils import keccak

from tests.support.accounts import settle_accounts
from tests.support.scenario import ATTRIBUTES, Scenario

New = Callable[..., Scenario]


def test_a_lost_key_stops_no_running_request(scenario: New) -> None:
    """Without the registrar nobody is admitted or suspended; all else goes on and is paid."""
    s = scenario(3, maxRounds=2).running()
    s.play_round()
    s.play_round()
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == 0
    assert all(paid)
    # Those who are registered open and join new requests.
    scenario(3).opened()


def test_a_thief_moves_no_money_and_no_finished_round(scenario: New, expect_revert: Any) -> None:
    s = scenario(3, maxRounds=2).finalised()
    thief = s.deployed.registrar
    held, points, digest = s.chain.balance(s.market.address), s.points, s.facts.finalDigest
    for account in [s.requester, *s.providers]:
        s.suspend(account)
    for call, name in (
        (("claim", s.id, 0), "SharingMarket_WrongStatus"),
        (("refund", s.id, s.accounts), "SharingMarket_NotRequester"),
        (("cancel", s.id), "SharingMarket_NotRequester"),
        (("deliver", s.id, 0, bytes(80), s.accounts), "SharingMarket_WrongStatus"),
    ):
        with expect_revert(name):
            s.market_call(thief, *call)
    with expect_revert("TrainingRounds_NotSeatOwner"):
        s.rounds_call(thief, "submit", s.id, 0, keccak(text="mine"))
    assert (s.points, s.facts.finalDigest) == (points, digest)
    assert s.chain.balance(s.market.address) == held
    # The suspended still end the request, deliver, and are paid; the suspended requester refunded.
    s.cancel()
    s.deliver()
    back, paid = settle_accounts(s)
    assert back > 0
    assert all(paid)


def test_a_thief_cannot_empty_or_refill_a_running_round(scenario: New, expect_revert: Any) -> None:
    """The thief's own accounts get no seat and no vote in a committee that has started."""
    s = scenario(3).committing()
    puppet = s.stranger
    s.admit(puppet, 777)
    with expect_revert("SharingMarket_WrongStatus"):
        s.market_call(puppet, "join", s.id, 100, ATTRIBUTES)
    for account in s.providers:
        s.suspend(account)
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    s.deliver()
    assert all(settle_accounts(s)[1])


def test_a_thief_can_fill_new_committees_with_puppets(scenario: New) -> None:
    """The stated limit: the registrar decides who the organisations are.

    Three accounts of one person, under organisations that the thief made up, share one committee
    and its payment. Only the requester's money in new requests is at stake.
    """
    s = scenario(3)
    puppets = [s.chain.w3.eth.account.create() for _ in range(3)]
    for number, puppet in enumerate(puppets):
        s.chain.fund(puppet)
        s.admit(puppet, 1_000 + number)
    s.providers = puppets
    s.delivered()
    assert all(settle_accounts(s)[1])


def test_a_stolen_key_is_replaced_and_its_vouchers_become_invalid(
    scenario: New, expect_revert: Any
) -> None:
    """The role moves to a new key in two steps; the old key loses all its powers."""
    s = scenario(3)
    old, new = s.deployed.registrar, s.stranger
    s.chain.send(old, s.registry.functions.transferRegistrar(new.address))
    s.chain.send(new, s.registry.functions.acceptRegistrar())
    with expect_revert("OwnableUnauthorizedAccount"):
        s.chain.send(old, s.registry.functions.suspend(s.providers[0].address))
    with expect_revert("OwnableUnauthorizedAccount"):
        s.admit(s.chain.w3.eth.account.create(), 5)
