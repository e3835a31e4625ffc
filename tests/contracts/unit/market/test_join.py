"""See join.tree."""

from typing import Any

import pytest

from tests.support.scenario import ATTRIBUTES, STATUS, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    scenario = stage()
    scenario.create()
    return scenario


def test_an_unknown_request_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("SharingMarket_WrongStatus", 999, STATUS["None"]):
        s.market_call(s.providers[0], "join", 999, 100, ATTRIBUTES)


def test_a_running_request_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.join_all()
    s.start()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Running"]):
        s.join(0)


def test_it_is_refused_after_the_join_window(s: Scenario, expect_revert: Any) -> None:
    deadline = s.request.joinDeadline
    s.chain.next_at(deadline + 1)
    with expect_revert("SharingMarket_JoinClosed", s.id, deadline):
        s.join(0)


def test_the_last_second_of_the_window_counts(s: Scenario) -> None:
    s.chain.next_at(s.request.joinDeadline)
    s.join(0)
    assert s.facts.members == 0b1


def test_a_full_committee_is_refused(s: Scenario, accounts: list[Any], expect_revert: Any) -> None:
    s.join_all()
    s.admit(accounts[10], 999)
    with expect_revert("SharingMarket_Full", s.id, 3):
        s.market_call(accounts[10], "join", s.id, 100, ATTRIBUTES)


@pytest.mark.parametrize("samples", [0, 10_000_001, 2**32 - 1])
def test_sample_counts_out_of_range_are_refused(
    s: Scenario, samples: int, expect_revert: Any
) -> None:
    with expect_revert("SharingMarket_BadSamples", samples):
        s.join(0, samples)


def test_strangers_and_suspended_accounts_are_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("SharingMarket_NotActive", s.stranger.address):
        s.market_call(s.stranger, "join", s.id, 100, ATTRIBUTES)
    s.suspend(s.providers[0])
    with expect_revert("SharingMarket_NotActive", s.providers[0].address):
        s.join(0)


def test_the_requesters_organisation_is_refused(
    s: Scenario, accounts: list[Any], expect_revert: Any
) -> None:
    s.admit(accounts[10], 100)
    for account in (s.requester, accounts[10]):
        with expect_revert("SharingMarket_OwnOrganisation", s.id, 100):
            s.market_call(account, "join", s.id, 100, ATTRIBUTES)


def test_a_second_account_of_a_seated_organisation_is_refused(
    s: Scenario, accounts: list[Any], expect_revert: Any
) -> None:
    s.join(0)
    s.join(1)
    s.admit(accounts[10], 102)
    for account in (accounts[10], s.providers[1]):
        with expect_revert("TrainingRounds_OrganisationSeated", s.id, 102, 1):
            s.market_call(account, "join", s.id, 100, ATTRIBUTES)


def test_a_provider_gets_the_lowest_open_seat(s: Scenario) -> None:
    s.join(0, 10_000_000)
    s.join(1, 1)
    s.withdraw(0)
    assert s.event("Joined", s.join(2, 77))["seat"] == 0
    assert tuple(s.member(2)) == (0, 77, 4_000, 0)
    assert tuple(s.member(1)) == (1, 1, 4_000, 0)
    assert tuple(s.member(0)) == (255, 0, 0, 0)
    assert s.facts.members == 0b11


def test_the_attributes_are_announced(s: Scenario) -> None:
    event = s.event("Joined", s.join(1, 55))
    assert event == {
        "requestId": s.id,
        "provider": s.providers[1].address,
        "seat": 0,
        "samples": 55,
        "attributes": ATTRIBUTES,
    }


def test_the_last_seat_closes_the_committee(s: Scenario) -> None:
    s.join(0)
    s.join(1)
    assert s.request.closedAt == 0
    s.join(2)
    assert s.request.closedAt == s.chain.now
