"""Members that waste the others' time: the round goes on without them, at their own cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils import keccak

from tests.support.accounts import settle_accounts
from tests.support.scenario import (
    ATTEST,
    ATTRIBUTES,
    COMMIT,
    ENDED,
    EXPIRED,
    PAYMENT,
    REVEAL,
    STATUS,
    SUBMIT,
    TALLY,
    WINDOW,
    Scenario,
)

New = Callable[..., Scenario]


def test_a_round_does_not_wait_twice_for_a_member_that_never_submits(scenario: New) -> None:
    s = scenario(4, maxRounds=2).running()
    for seat in range(3):
        s.submit(seat)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    # The second round expects only who acted in the first, and so waits for nobody's clock.
    assert s.facts.expected == 0b0111
    s.play_round()
    s.deliver()
    back, paid = settle_accounts(s)
    assert (back, paid[3]) == (0, 0)
    assert all(paid[:3])


def test_nobody_submits_at_all(scenario: New) -> None:
    s = scenario(3).running()
    s.pass_deadline()
    s.expire_round()
    assert settle_accounts(s) == (PAYMENT, [0, 0, 0])


def test_a_member_that_never_reveals_forfeits_the_round(scenario: New) -> None:
    """It waits for the others' votes, then withholds its own."""
    s = scenario(4).revealing()
    for seat in range(3):
        s.reveal(seat)
    s.pass_deadline()
    s.tally()
    s.attest_all()
    s.propose()
    s.deliver()
    back, paid = settle_accounts(s)
    assert (back, paid[3], s.faults[3]) == (0, 0, 1)
    assert all(paid[:3])


def test_members_that_never_attest_cost_nobody_their_pay(scenario: New) -> None:
    """With one of four absent, three are a quorum. With two absent, the round's points remain."""
    s = scenario(4).attesting()
    for seat in range(3):
        s.attest(seat)
    s.propose()
    assert s.facts.phase == ENDED

    s = scenario(4, maxRounds=2).finalised()
    s.submit_all()
    s.vote_all()
    s.tally()
    earned = s.points
    for seat in range(2):
        s.attest(seat)
    s.pass_deadline()
    s.expire_round()
    assert s.points == earned
    s.deliver()
    assert settle_accounts(s)[0] == 0


def test_one_organisation_does_not_take_all_seats(scenario: New, expect_revert: Any) -> None:
    s = scenario(5, maxProviders=3)
    s.create()
    first, *others = s.providers
    s.market_call(first, "join", s.id, 100, ATTRIBUTES)
    for account in (s.stranger,):
        s.admit(account, 101)
        with expect_revert("TrainingRounds_OrganisationSeated", s.id, 101, 0):
            s.market_call(account, "join", s.id, 100, ATTRIBUTES)
    # Others find their seats open.
    for account in others[:2]:
        s.market_call(account, "join", s.id, 100, ATTRIBUTES)


def test_joining_and_leaving_does_not_block_a_request_forever(scenario: New) -> None:
    """A provider repeatedly fills the committee and leaves it, so that nobody can start."""
    s = scenario(3).opened()
    for _ in range(3):
        s.withdraw(2)
        s.join(2)
    s.withdraw(2)
    s.chain.mine_at(s.request.joinDeadline + 1)
    s.start(0)
    assert s.status == STATUS["Running"]


EDGES: dict[str, tuple[Callable[[Scenario], Any], Callable[[Scenario], Any], int]] = {
    "submit": (lambda s: (s.running(), s.submit(0)), lambda s: s.submit(1), EXPIRED),
    "commit": (lambda s: (s.committing(), s.commit(0)), lambda s: s.commit(1), REVEAL),
    "reveal": (lambda s: (s.revealing(), s.reveal(0)), lambda s: s.reveal(1), TALLY),
    "attest": (lambda s: (s.attesting(), s.attest(0)), lambda s: s.attest(1), EXPIRED),
    "propose": (lambda s: s.attested(), lambda s: s.propose(), EXPIRED),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", EDGES)
def test_a_step_counts_in_the_last_second_and_not_in_the_next(
    scenario: New, expect_revert: Any, step: str, late: bool
) -> None:
    reach, act, then = EDGES[step]
    s = scenario(3)
    reach(s)
    deadline = s.facts.deadline
    s.chain.next_at(deadline + late)
    if not late:
        act(s)
        return
    with expect_revert("TrainingRounds_WrongPhase"):
        act(s)
    assert s.facts.phase == then


def test_a_leaders_turn_begins_to_the_second(scenario: New, expect_revert: Any) -> None:
    s = scenario(3).attested()
    turn = s.facts.start + WINDOW
    s.chain.next_at(turn - 1)
    with expect_revert("TrainingRounds_TooEarly", s.id, 1, turn):
        s.propose(1)
    s.chain.next_at(turn)
    s.propose(1)


@pytest.mark.parametrize("moment", [-1, 0, 1])
def test_delivery_and_refund_are_never_both_possible(
    scenario: New, expect_revert: Any, moment: int
) -> None:
    """Around the last second of delivery, exactly one of the two succeeds."""
    s = scenario(3).finalised()
    deadline = s.facts.start + 2 * WINDOW
    s.chain.next_at(deadline + moment)
    if moment > 0:
        with expect_revert("SharingMarket_TooLate"):
            s.deliver()
        s.refund()
        with expect_revert("SharingMarket_TooLate"):
            s.deliver()
        return
    with expect_revert("SharingMarket_NotDecided"):
        s.refund()
    s.chain.next_at(deadline + (moment == 0))
    if moment == 0:
        s.refund()
    else:
        s.deliver()
        with expect_revert("SharingMarket_NothingToRefund"):
            s.refund()


PHASES: dict[str, Callable[[Scenario], Any]] = {
    "submit": lambda s: s.running(),
    "commit": lambda s: s.committing(),
    "reveal": lambda s: s.revealing(),
    "tally": lambda s: s.revealed(),
    "attest": lambda s: s.attesting(),
    "propose": lambda s: s.attested(),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_suspension_ends_no_round_and_takes_no_pay(
    scenario: New, expect_revert: Any, phase: str
) -> None:
    """A member suspended in any phase completes its round, is barred from the next, and is paid."""
    s = scenario(4, maxRounds=2)
    PHASES[phase](s)
    s.suspend(s.providers[0])
    steps: dict[int, Callable[[], Any]] = {
        SUBMIT: s.submit_all,
        COMMIT: lambda: [s.commit(seat) for seat in s.submitted],
        REVEAL: lambda: [s.reveal(seat) for seat in s.submitted],
        TALLY: s.tally,
    }
    while s.facts.phase != ATTEST:
        steps[s.facts.phase]()
    if s.facts.attested == 0:
        s.attest_all()
    s.propose(0)
    assert (s.facts.round, s.facts.barred, s.facts.expected) == (2, 0b0001, 0b1110)
    with expect_revert("TrainingRounds_Barred", s.id, 0):
        s.submit(0, keccak(text="again"))
    s.play_round()
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == 0
    assert paid[0] > 0


def test_all_suspended_between_rounds_the_request_still_ends(scenario: New) -> None:
    s = scenario(3, maxRounds=2).attested()
    for account in s.providers:
        s.suspend(account)
    s.propose()
    assert s.facts.expected == 0
    s.pass_deadline()
    s.expire_round()
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == PAYMENT // 2
    assert all(paid)


def test_all_suspended_after_the_last_round_still_deliver_and_claim(scenario: New) -> None:
    s = scenario(3).finalised()
    for account in (*s.providers, s.requester):
        s.suspend(account)
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == 0
    assert all(paid)
