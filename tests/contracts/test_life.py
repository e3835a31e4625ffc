"""Whole requests, from creation to the last claim, to the wei, along each possible path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import settle_accounts
from tests.support.chainkit import Chain, Deployed
from tests.support.scenario import ENDED, PAYMENT, STATUS, WINDOW, Scenario


@pytest.mark.parametrize("providers", [3, 5])
@pytest.mark.parametrize("reached", [True, False])
def test_two_healthy_rounds_pay_all_by_points(
    scenario: Callable[..., Scenario], providers: int, reached: bool
) -> None:
    s = scenario(providers, maxRounds=2, target=500, payment=PAYMENT + 7).running()
    s.play_round()
    s.play_round(mae=500 if reached else 501)
    assert (s.facts.phase, s.facts.reached, s.facts.paidRounds) == (ENDED, reached, 2)
    s.deliver()
    points = s.points
    back, paid = settle_accounts(s)
    assert back == 0
    assert paid == [(PAYMENT + 7) * own // sum(points) for own in points]
    assert PAYMENT + 7 - sum(paid) < providers


def test_a_target_met_early_pays_all(scenario: Callable[..., Scenario]) -> None:
    s = scenario(5, maxRounds=10).running()
    s.play_round(mae=400)
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == 0
    assert PAYMENT - sum(paid) < 5


def test_the_next_leader_steps_in_for_a_silent_one(scenario: Callable[..., Scenario]) -> None:
    s = scenario(5).attested()
    s.chain.next_at(s.facts.start + WINDOW)
    s.propose(1)
    assert (s.facts.lastLeader, s.faults) == (1, [1, 0, 0, 0, 0])
    # And another member for the leader that keeps the key to itself.
    s.chain.travel(WINDOW)
    s.deliver(3)
    back, paid = settle_accounts(s)
    assert back == 0
    assert all(paid)
    names = [s.registry.functions.reputation(p.address).call() for p in s.providers]
    # The first model was the better one, and its owner has the worse name: it did not propose.
    assert names[0] < names[1]


def test_a_withheld_vote_costs_the_round(scenario: Callable[..., Scenario]) -> None:
    s = scenario(3).committing()
    for seat in range(3):
        s.commit(seat)
    s.reveal(0)
    s.reveal(1)
    s.pass_deadline()
    s.tally()
    s.attest_all()
    s.propose()
    s.deliver()
    back, paid = settle_accounts(s)
    assert (back, paid[2]) == (0, 0)
    assert paid[0] > 0 < paid[1]


STAGES: dict[str, Callable[[Scenario], Any]] = {
    "created": lambda s: s.create(),
    "joined by one": lambda s: (s.create(), s.join(0)),
    "full": lambda s: s.opened(),
    "started": lambda s: s.running(),
    "one submission": lambda s: s.running().submit(0),
    "all submissions": lambda s: s.committing(),
    "one commit": lambda s: s.committing().commit(0),
    "all commits": lambda s: s.revealing(),
    "one reveal": lambda s: s.revealing().reveal(0),
    "all reveals": lambda s: s.revealed(),
    "tally": lambda s: s.attesting(),
    "attestations": lambda s: s.attested(),
    "first round": lambda s: s.finalised(),
    "second round begun": lambda s: s.finalised().submit(1),
}


@pytest.mark.parametrize("reached", STAGES)
def test_deadlines_and_strangers_end_a_request_from_every_stage(
    scenario: Callable[..., Scenario], reached: str
) -> None:
    """All parties stop; a stranger does what deadlines allow, until everything is refunded."""
    s = scenario(3, maxRounds=2)
    STAGES[reached](s)
    for _ in range(6):
        if s.status not in (STATUS["Open"], STATUS["Running"]):
            break
        s.chain.travel(4 * WINDOW + 1)
        if s.status == STATUS["Open"]:
            s.market_call(s.stranger, "expire", s.id)
        else:
            push(s)
    assert s.status in (STATUS["Ended"], STATUS["Cancelled"])
    s.chain.travel(2 * WINDOW + 1)
    back, paid = settle_accounts(s)
    assert (back, sum(paid)) == (PAYMENT, 0)


def push(s: Scenario) -> None:
    """The step that anyone may take now, if there is one."""
    {4: s.tally, 6: s.expire_round}.get(s.facts.phase, lambda: None)()


def test_requests_do_not_touch_each_others_escrow(
    chain: Chain, deployed: Deployed, accounts: list[Any]
) -> None:
    first = Scenario(chain, deployed, accounts, 3, payment=10**18).delivered()
    second = Scenario(chain, deployed, accounts, 3, payment=5).opened()
    third = Scenario(chain, deployed, accounts, 4, payment=999_999_999_999).delivered()
    assert [first.id, second.id, third.id] == [first.id, first.id + 1, first.id + 2]
    second.cancel()
    assert settle_accounts(second) == (5, [0, 0, 0])
    settle_accounts(third)
    settle_accounts(first)
    # What rounding left over.
    assert chain.balance(deployed.market.address) < 3 + 4


def test_a_share_is_exact_at_the_maximum_number_of_rounds(
    scenario: Callable[..., Scenario],
) -> None:
    s = scenario(2, maxRounds=1_000, payment=2**96 - 1)
    s.chain.fund(s.requester, 2**97)
    s.finalised().cancel()
    s.deliver()
    points = s.points
    back, paid = settle_accounts(s)
    pool = (2**96 - 1) // 1_000
    assert back == 2**96 - 1 - pool
    assert paid == [pool * own // sum(points) for own in points]


def test_deployed_contracts_stay_below_the_size_limit(chain: Chain, deployed: Deployed) -> None:
    for contract in (deployed.registry, deployed.market, deployed.rounds, deployed.resale):
        assert 0 < len(chain.w3.eth.get_code(contract.address)) < 24_576
