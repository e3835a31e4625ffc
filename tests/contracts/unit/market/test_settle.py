"""See settle.tree."""

from typing import Any

from tests.support.chainkit import events
from tests.support.scenario import INVALID, PAYMENT, STATUS, WINDOW, Scenario, seats_of

UNIT = 10**15


def outcomes(s: Scenario, receipt: Any) -> dict[str, tuple[int, int, int]]:
    """What was recorded: (weight, quality, losses) by account."""
    return {
        event["accounts"][seat]: (
            event["weight"],
            event["qualities"] >> 16 * seat & 0xFFFF,
            event["losses"] >> 16 * seat & 0xFFFF,
        )
        for event in events(s.registry, "OutcomesRecorded", receipt)
        for seat in seats_of(event["seats"])
    }


def test_open_running_and_cancelled_requests_are_refused(scenario: Any, expect_revert: Any) -> None:
    s = scenario().opened()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Open"]):
        s.settle()
    s.start()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Running"]):
        s.settle()
    s.create()
    s.cancel()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Cancelled"]):
        s.settle()


def test_it_is_refused_while_the_model_may_be_delivered(scenario: Any, expect_revert: Any) -> None:
    s = scenario().finalised()
    deadline = s.rounds.functions.outcome(s.id).call().endedAt + 2 * WINDOW
    s.chain.next_at(deadline)
    with expect_revert("SharingMarket_NotDecided", s.id, deadline):
        s.settle()
    s.chain.next_at(deadline + 1)
    s.settle()


def test_a_second_settlement_is_refused(scenario: Any, expect_revert: Any) -> None:
    s = scenario().delivered()
    with expect_revert("SharingMarket_AlreadySettled", s.id):
        s.settle()


def test_quality_is_relative_to_the_mean(scenario: Any) -> None:
    s = scenario(payment=50 * UNIT).finalised()
    receipt = s.deliver()
    total = sum(s.points)
    assert s.event("Settled", receipt) == {
        "requestId": s.id,
        "pool": 50 * UNIT,
        "totalPoints": total,
    }
    assert outcomes(s, receipt) == {
        s.providers[seat].address: (50, min(10_000, 5_000 * own * 3 // total), 0)
        for seat, own in enumerate(s.points)
    }
    assert s.request.settled


def test_the_quality_of_a_seat_that_earns_everything_is_capped(scenario: Any) -> None:
    """Eight times the mean quality: too much for a 16-bit lane."""
    s = scenario(16).committing()
    s.vote_all({0: 1_000} | dict.fromkeys(range(1, 16), INVALID))
    s.tally()
    s.attest_all()
    s.propose()
    receipt = s.deliver()
    assert [seat for seat, own in enumerate(s.points) if own] == [0]
    assert outcomes(s, receipt)[s.providers[0].address][1] == 10_000


def test_faults_become_losses_and_members_that_never_submitted_are_left_out(scenario: Any) -> None:
    s = scenario(4).running()
    for seat in (0, 1, 2):
        s.submit(seat)
    s.pass_deadline()
    for seat in (0, 1, 2):
        s.commit(seat)
    s.reveal(0)
    s.reveal(1)
    s.pass_deadline()
    s.tally()
    assert s.faults == [0, 0, 1, 0]
    s.attest_all()
    s.pass_deadline()
    s.expire_round()
    recorded = outcomes(s, s.settle())
    assert recorded[s.providers[2].address] == (1, 0, 100)
    assert s.providers[3].address not in recorded


def test_the_paid_pool_is_the_weight(scenario: Any) -> None:
    s = scenario(payment=60 * UNIT, maxRounds=3).finalised()
    s.cancel()
    assert {weight for weight, _, _ in outcomes(s, s.deliver()).values()} == {20}


def test_a_pool_below_the_unit_is_not_recorded(scenario: Any) -> None:
    s = scenario(payment=2 * UNIT, maxRounds=3).finalised()
    s.cancel()
    assert outcomes(s, s.deliver()) == {}
    assert s.request.settled


def test_only_faults_are_recorded_if_nobody_is_paid(scenario: Any) -> None:
    s = scenario(payment=PAYMENT).attested()
    s.pass_deadline()
    s.expire_round()
    assert outcomes(s, s.settle()) == {provider.address: (1, 0, 100) for provider in s.providers}


def test_nobody_gains_without_a_delivery(scenario: Any) -> None:
    s = scenario().finalised()
    s.chain.travel(2 * WINDOW + 1)
    assert outcomes(s, s.settle()) == {}


def test_an_unpaid_request_below_the_unit_is_not_recorded(scenario: Any) -> None:
    s = scenario(payment=UNIT - 1).attested()
    s.pass_deadline()
    s.expire_round()
    assert outcomes(s, s.settle()) == {}


def test_other_accounts_are_refused(scenario: Any, expect_revert: Any) -> None:
    s = scenario().attested()
    s.pass_deadline()
    s.expire_round()
    swapped = [s.accounts[seat] for seat in (0, 2, 1)]
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 1, swapped[1]):
        s.market_call(s.stranger, "settle", s.id, swapped)
