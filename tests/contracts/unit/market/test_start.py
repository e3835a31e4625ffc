"""See start.tree."""

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from tests.support.scenario import KEY_HASH, MANIFEST, STATUS, SUBMIT, WINDOW, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage().opened()


@pytest.fixture(scope="module")
def partly(stage: Any) -> Scenario:
    scenario = stage()
    scenario.create()
    scenario.join(0)
    return scenario


def test_a_running_request_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.start()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Running"]):
        s.start()


@pytest.mark.parametrize(("seat", "turn"), [(1, 1), (16, 3), (256, 3)])
def test_another_members_seat_is_refused(
    s: Scenario, seat: int, turn: int, expect_revert: Any
) -> None:
    s.chain.next_at(s.request.closedAt + turn * WINDOW)
    account = s.providers[0].address
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, seat, account):
        s.market_call(account, "start", s.id, seat, MANIFEST, KEY_HASH, s.accounts)


def test_it_is_refused_without_a_manifest(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_ZeroDigest"):
        s.market_call(s.providers[0], "start", s.id, 0, bytes(32), KEY_HASH, s.accounts)


def test_once_a_status_has_changed_the_accounts_must_be_the_members(
    s: Scenario, expect_revert: Any
) -> None:
    s.suspend(s.requester)
    swapped = [s.accounts[seat] for seat in (0, 2, 1)]
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 1, swapped[1]):
        s.market_call(s.providers[0], "start", s.id, 0, MANIFEST, KEY_HASH, swapped)
    with expect_revert("TrainingRounds_WrongNumber", s.id, 0, 3):
        s.market_call(s.providers[0], "start", s.id, 0, MANIFEST, KEY_HASH, [])
    s.start()


def test_before_the_join_deadline_a_committee_must_be_full(
    partly: Scenario, expect_revert: Any
) -> None:
    partly.join(1)
    deadline = partly.request.joinDeadline
    partly.chain.next_at(deadline)
    with expect_revert("SharingMarket_CommitteeOpen", partly.id, deadline):
        partly.start()


def test_too_few_providers_never_start(partly: Scenario, expect_revert: Any) -> None:
    partly.chain.next_at(partly.request.joinDeadline + 1)
    with expect_revert("SharingMarket_TooFewProviders", partly.id, 1, 2):
        partly.start()


def test_enough_providers_start_after_the_join_deadline(
    partly: Scenario, expect_revert: Any
) -> None:
    partly.join(1)
    deadline = partly.request.joinDeadline
    partly.chain.next_at(deadline + WINDOW - 1)
    with expect_revert("SharingMarket_TooEarly", partly.id, deadline + WINDOW):
        partly.start(1)
    partly.chain.next_at(deadline + WINDOW)
    partly.start(1)
    assert partly.facts.expected == 0b11


def test_the_second_seat_waits_for_its_turn(s: Scenario, expect_revert: Any) -> None:
    opens = s.request.closedAt + WINDOW
    s.chain.next_at(opens - 1)
    with expect_revert("SharingMarket_TooEarly", s.id, opens):
        s.start(1)
    s.chain.next_at(opens)
    s.start(1)


def test_turns_go_by_occupied_seats(s: Scenario) -> None:
    s.withdraw(0)
    s.chain.next_at(s.request.joinDeadline + 1)
    s.start(1)
    assert s.status == STATUS["Running"]


def test_it_is_refused_after_the_last_turn(s: Scenario, expect_revert: Any) -> None:
    deadline = s.request.closedAt + 3 * WINDOW
    s.chain.next_at(deadline + 1)
    with expect_revert("SharingMarket_TooLate", s.id, deadline):
        s.start(0)
    s.chain.next_at(deadline + 2)
    with expect_revert("SharingMarket_TooLate", s.id, deadline):
        s.start(2)


def test_the_last_second_of_the_last_turn_counts(s: Scenario) -> None:
    s.chain.next_at(s.request.closedAt + 3 * WINDOW)
    s.start(0)


def test_a_suspended_member_cannot_start(s: Scenario, expect_revert: Any) -> None:
    s.suspend(s.providers[0])
    with expect_revert("TrainingRounds_Barred", s.id, 0):
        s.start()


def test_a_full_committee_starts_at_once(s: Scenario) -> None:
    event = s.event("Started", s.start())
    assert event == {
        "requestId": s.id,
        "leader": s.providers[0].address,
        "seat": 0,
        "manifest": MANIFEST,
        "keyHash": KEY_HASH,
    }
    assert s.status == STATUS["Running"]
    begin = [s.terms_hash, MANIFEST, KEY_HASH]
    assert s.facts.history == keccak(encode(["bytes32"] * 3, begin))


def test_round_one_opens_with_the_terms(s: Scenario) -> None:
    event = s.event("RoundOpened", s.start())
    assert (event["round"], event["expected"], event["barred"]) == (1, 0b111, 0)
    facts = s.facts
    assert (facts.phase, facts.round, facts.seats) == (SUBMIT, 1, 3)
    assert (facts.start, facts.deadline) == (s.chain.now, s.chain.now + WINDOW)
    assert facts.lastLeader == 255
    names = facts.params._fields
    assert {name: s.terms[name] for name in names} == dict(zip(names, facts.params, strict=True))


def test_a_member_suspended_since_is_barred(s: Scenario) -> None:
    s.suspend(s.providers[2])
    event = s.event("RoundOpened", s.start())
    assert (event["expected"], event["barred"]) == (0b011, 0b100)


def test_a_member_restored_in_time_is_not_barred(s: Scenario) -> None:
    s.suspend(s.providers[2])
    s.restore(s.providers[2])
    assert s.event("RoundOpened", s.start())["barred"] == 0
