"""See deliver.tree."""

from typing import Any

import pytest

from tests.support.chainkit import events
from tests.support.scenario import INVALID, SEALED_KEY, STATUS, WINDOW, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage().finalised()


def ended_at(s: Scenario) -> int:
    return s.rounds.functions.outcome(s.id).call().endedAt


def test_it_is_refused_during_the_rounds(stage: Any, expect_revert: Any) -> None:
    running = stage().running()
    with expect_revert("SharingMarket_WrongStatus", running.id, STATUS["Running"]):
        running.deliver(0)


def test_it_is_refused_without_a_final_round(stage: Any, expect_revert: Any) -> None:
    cancelled = stage().running()
    cancelled.cancel()
    with expect_revert("SharingMarket_NothingToDeliver", cancelled.id):
        cancelled.deliver(0)


@pytest.mark.parametrize("seat", [0, 16, 255])
def test_a_seat_of_another_or_of_nobody_is_refused(
    s: Scenario, seat: int, expect_revert: Any
) -> None:
    """255 is the seat of an account without a seat."""
    s.chain.next_at(ended_at(s) + WINDOW)
    with expect_revert("SharingMarket_NotSeatOwner", s.id, seat, s.stranger.address):
        s.market_call(s.stranger, "deliver", s.id, seat, SEALED_KEY, s.accounts)


@pytest.mark.parametrize("length", [0, 79, 81])
def test_a_seal_of_another_length_is_refused(s: Scenario, length: int, expect_revert: Any) -> None:
    with expect_revert("SharingMarket_BadSealedKey", length):
        s.market_call(s.providers[0], "deliver", s.id, 0, bytes(length), s.accounts)


def test_within_the_window_only_the_last_leader_delivers(s: Scenario, expect_revert: Any) -> None:
    opens = ended_at(s) + WINDOW
    s.chain.next_at(opens - 1)
    with expect_revert("SharingMarket_NotYourTurn", s.id, 1, opens):
        s.deliver(1)


def test_it_is_refused_after_two_windows(s: Scenario, expect_revert: Any) -> None:
    deadline = ended_at(s) + 2 * WINDOW
    s.chain.next_at(deadline + 1)
    with expect_revert("SharingMarket_TooLate", s.id, deadline):
        s.deliver(0)


def test_the_last_leader_delivers(s: Scenario) -> None:
    final = s.facts.finalDigest
    receipt = s.deliver()
    assert s.status == STATUS["Delivered"]
    assert s.event("Delivered", receipt) == {
        "requestId": s.id,
        "member": s.providers[0].address,
        "sealedKey": SEALED_KEY,
    }
    assert s.event("ModelShared", receipt) == {
        "requestId": s.id,
        "requester": s.requester.address,
        "finalDigest": final,
        "rounds": 1,
        "contributors": 0b111,
    }


def test_a_seat_without_points_is_not_a_contributor(stage: Any) -> None:
    s = stage(4).committing()
    s.vote_all({0: 1_000, 1: INVALID, 2: 1_200, 3: 1_300})
    s.tally()
    s.attest_all()
    s.propose()
    assert s.event("ModelShared", s.deliver())["contributors"] == 0b1101


def test_another_member_delivers_after_the_window(s: Scenario) -> None:
    s.chain.next_at(ended_at(s) + WINDOW)
    s.deliver(2)
    assert s.status == STATUS["Delivered"]


def test_further_seals_are_announced(s: Scenario) -> None:
    s.deliver()
    receipt = s.deliver(1)
    assert s.event("Delivered", receipt)["member"] == s.providers[1].address
    assert events(s.market, "ModelShared", receipt) == []


def test_the_first_delivery_settles(s: Scenario) -> None:
    names = [s.registry.functions.reputation(p.address).call() for p in s.providers]
    s.deliver()
    assert s.request.settled
    assert [s.registry.functions.reputation(p.address).call() for p in s.providers] != names


def test_the_first_delivery_needs_the_members_accounts(s: Scenario, expect_revert: Any) -> None:
    swapped = [s.accounts[seat] for seat in (1, 0, 2)]
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 0, swapped[0]):
        s.market_call(s.providers[0], "deliver", s.id, 0, SEALED_KEY, swapped)
