"""Attacks on the money: no attacker ends with more wei than it started with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from eth_utils import keccak

from tests.support.accounts import settle_accounts
from tests.support.chainkit import Reverted
from tests.support.scenario import (
    ATTRIBUTES,
    ENDED,
    INVALID,
    KEY_HASH,
    MANIFEST,
    PAYMENT,
    SEALED_KEY,
    WINDOW,
    Scenario,
)

New = Callable[..., Scenario]


def test_junk_hashes_do_not_withdraw_the_escrow(scenario: New, expect_revert: Any) -> None:
    """A provider submits digests of nothing in every round and claims the payment."""
    s = scenario(5, maxRounds=2).running()
    junk = 4
    for _ in range(2):
        for seat in range(4):
            s.submit(seat)
        s.submit(junk, keccak(text=f"junk {s.facts.round}"))
        with expect_revert("SharingMarket_WrongStatus"):
            s.claim(junk)
        # Nobody finds the bytes; the attacker itself votes for the others as it likes.
        honest = {0: 1_000, 1: 1_100, 2: 1_200, 3: 1_300, junk: INVALID}
        s.vote_all(honest)
        s.tally()
        s.attest_all()
        s.propose(s.order[0])
    s.deliver()
    assert s.points[junk] == 0
    with expect_revert("SharingMarket_NothingToClaim"):
        s.claim(junk)
    back, paid = settle_accounts(s)
    assert (back, paid[junk]) == (0, 0)


def test_a_stranger_publishes_nothing(scenario: New, expect_revert: Any) -> None:
    """An account without a seat tries every step that moves a round or its money."""
    s = scenario(3)
    intruder = s.stranger
    s.opened()
    args = (s.id, 0, keccak(text="mine"), keccak(text="mine"), s.accounts)
    with expect_revert("TrainingRounds_NotSeatOwner"):
        s.market_call(intruder, "start", *args)
    s.start()
    with expect_revert("TrainingRounds_NotSeatOwner"):
        s.rounds_call(intruder, "submit", s.id, 0, keccak(text="mine"))
    # Nor a participant without a seat in this committee.
    s.admit(intruder, 999)
    for seat in (0, 3, 15, 16, 2**255):
        with expect_revert("TrainingRounds_NotSeatOwner"):
            s.rounds_call(intruder, "submit", s.id, seat, keccak(text="mine"))
    s.submit_all()
    with expect_revert("TrainingRounds_NotRequester"):
        s.rounds_call(intruder, "openSlice", s.id, keccak(text="mine"))
    with expect_revert("TrainingRounds_NotSeatOwner"):
        s.rounds_call(intruder, "commitVote", s.id, 0, keccak(text="mine"))
    s.vote_all()
    s.tally()
    with expect_revert("TrainingRounds_NotSeatOwner"):
        s.rounds_call(intruder, "propose", s.id, 0, keccak(text="mine"), 900, s.accounts)
    s.attest_all()
    s.propose()
    with expect_revert("SharingMarket_NotSeatOwner"):
        s.market_call(intruder, "deliver", s.id, 0, SEALED_KEY, s.accounts)
    s.deliver()
    with expect_revert("SharingMarket_NotSeatOwner"):
        s.market_call(intruder, "claim", s.id, 0)
    with expect_revert("SharingMarket_NotRequester"):
        s.market_call(intruder, "refund", s.id, s.accounts)


STAGES: dict[str, Callable[[Scenario], Any]] = {
    "submitted": lambda s: s.running().submit(0),
    "voting": lambda s: s.committing(),
    "tallied": lambda s: s.attesting(),
    "final": lambda s: s.finalised(),
    "delivered": lambda s: s.delivered(),
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_publisher_takes_nothing_back_once_work_is_in(scenario: New, stage: str) -> None:
    """It tries to cancel and refund repeatedly, from the first submission to the delivery."""
    s = scenario(3)
    STAGES[stage](s)
    before = s.chain.balance(s.requester)
    for attempt in (s.cancel, s.refund, s.settle, s.refund):
        with pytest.raises(Reverted) if attempt != s.settle else suppress(Reverted):
            attempt()
    assert s.chain.balance(s.requester) == before
    assert s.market.functions.refundable(s.id).call() == 0


def test_providers_are_paid_without_any_action_by_the_requester(scenario: New) -> None:
    """It opens no slice and never acts again: the providers are paid anyway."""
    s = scenario(4).running()
    s.submit_all()
    # Without a slice all valid models count as equal.
    s.vote_all(dict.fromkeys(range(4), 0))
    s.tally()
    s.attest_all(mae=INVALID)
    s.propose(s.order[0])
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == 0
    assert all(paid)
    assert PAYMENT - sum(paid) < 4


def test_a_submission_alone_is_worth_nothing(scenario: New) -> None:
    """Everybody submits, nobody votes: the providers are not paid."""
    s = scenario(3).committing()
    s.pass_deadline()
    s.tally()
    assert (s.facts.phase, s.points) == (ENDED, [0, 0, 0])
    assert settle_accounts(s) == (PAYMENT, [0, 0, 0])


def test_the_requester_cannot_make_up_terms_under_which_nobody_is_paid(
    scenario: New, expect_revert: Any
) -> None:
    """A ceiling of zero would exclude everybody; a payment of zero would pay nobody."""
    s = scenario(3, maxError=0)
    with expect_revert("SharingMarket_BadErrors", 0, s.terms["target"]):
        s.create()
    s = scenario(3, payment=0)
    with expect_revert("SharingMarket_BadPayment", 0):
        s.create()


def test_the_requester_cannot_exchange_the_terms_that_were_joined(scenario: New) -> None:
    """It shows a provider another evaluation set and a lower ceiling than it made the request with.

    The rounds took their rules when it was made, and the history proves the terms, before and after
    the start.
    """
    s = scenario(3).opened()
    true = s.terms

    def proven(terms: dict[str, Any], *keys: bytes) -> bool:
        s.terms = terms
        found = s.rounds.functions.verifyHistory(s.id, s.terms_hash, *keys, [])
        s.terms = true
        return bool(found.call())

    others = [{**true, "maxError": 1}, {**true, "evaluation": keccak(text="wrong labels")}]
    assert [proven(terms, bytes(32), bytes(32)) for terms in (true, *others)] == [
        True,
        False,
        False,
    ]
    s.start()
    assert [proven(terms, MANIFEST, KEY_HASH) for terms in (true, *others)] == [True, False, False]
    assert s.facts.params.maxError == true["maxError"]


def test_wrong_labels_do_not_save_the_payment(scenario: New) -> None:
    """On the requester's false set, every model has the highest error that still counts."""
    s = scenario(3, maxError=10_000).running()
    s.submit_all()
    s.vote_all(dict.fromkeys(range(3), 10_000))
    s.tally()
    s.attest_all(mae=10_000)
    s.propose(s.order[0])
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == 0
    assert all(paid)


def test_reputation_is_not_farmed_with_requests_of_one_wei(scenario: New) -> None:
    """A requester repeatedly buys from its friends for almost nothing."""
    for number in range(3):
        s = scenario(3, payment=1 + number).delivered()
    for account in s.providers:
        assert s.registry.functions.reputation(account.address).call() == 4_000


def test_own_accounts_do_not_provide_to_themselves(scenario: New, expect_revert: Any) -> None:
    s = scenario(3)
    colleague, twin = s.providers[0], s.stranger
    s.admit(twin, 100)
    s.create()
    with expect_revert("SharingMarket_OwnOrganisation", s.id, 100):
        s.market_call(twin, "join", s.id, 100, ATTRIBUTES)
    s.market_call(colleague, "join", s.id, 100, ATTRIBUTES)
    with expect_revert("TrainingRounds_OrganisationSeated"):
        s.market_call(colleague, "join", s.id, 100, ATTRIBUTES)


def test_a_wrong_seal_costs_nobody_anything(scenario: New) -> None:
    """The leader seals a wrong key to one member, which withdraws without a fault; others go on."""
    s = scenario(4).running()
    before = s.registry.functions.reputation(s.providers[3].address).call()
    for seat in range(3):
        s.submit(seat)
    s.withdraw(3)
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    s.deliver()
    back, paid = settle_accounts(s)
    assert (back, paid[3], s.faults[3]) == (0, 0, 0)
    assert s.registry.functions.reputation(s.providers[3].address).call() == before


def test_a_leader_that_keeps_the_key_is_passed_over(scenario: New, expect_revert: Any) -> None:
    s = scenario(3).finalised()
    with expect_revert("SharingMarket_NotYourTurn"):
        s.deliver(1)
    s.chain.travel(WINDOW)
    s.deliver(1)
    back, paid = settle_accounts(s)
    assert back == 0
    assert all(paid)
