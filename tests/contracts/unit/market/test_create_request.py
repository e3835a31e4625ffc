"""See createRequest.tree."""

from typing import Any

import pytest

from tests.support.chainkit import FUNDS
from tests.support.scenario import PAYMENT, STATUS, WINDOW, Scenario

WINDOWS = ["join", "start", "submit", "commit", "reveal", "propose", "deliver"]
MONTH = 30 * 86_400


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage()


def test_a_stranger_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("SharingMarket_NotActive", s.stranger.address):
        s.market_call(s.stranger, "createRequest", s.terms, value=1)


def test_a_suspended_account_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.suspend(s.requester)
    with expect_revert("SharingMarket_NotActive", s.requester.address):
        s.create()


@pytest.mark.parametrize(
    ("changes", "error", "values"),
    [
        ({"specification": bytes(32)}, "NoSpecification", []),
        ({"minProviders": 1}, "BadProviders", [1, 3]),
        ({"minProviders": 4}, "BadProviders", [4, 3]),
        ({"maxProviders": 17}, "BadProviders", [2, 17]),
        ({"maxRounds": 0}, "BadRounds", [0]),
        ({"maxRounds": 1_001}, "BadRounds", [1_001]),
        ({"maxError": 0}, "BadErrors", [0, 500]),
        ({"maxError": 10_001}, "BadErrors", [10_001, 500]),
        ({"target": 10_001}, "BadErrors", [9_000, 10_001]),
        ({"leaderRule": 2}, "BadRules", [2, 0]),
        ({"approvalRule": 2}, "BadRules", [0, 2]),
        ({"voteBand": 1_001}, "BadVoteBand", [1_001]),
        *(({f"{window}Window": 4}, "BadWindow", [4]) for window in WINDOWS),
        *(({f"{window}Window": MONTH + 1}, "BadWindow", [MONTH + 1]) for window in WINDOWS),
    ],
)
def test_a_term_out_of_bounds_is_refused(
    s: Scenario, changes: dict[str, Any], error: str, values: list[int], expect_revert: Any
) -> None:
    with expect_revert(f"SharingMarket_{error}", *values):
        s.market_call(s.requester, "createRequest", {**s.terms, **changes}, value=1)


def test_a_request_without_payment_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("SharingMarket_BadPayment", 0):
        s.market_call(s.requester, "createRequest", s.terms)


def test_a_payment_beyond_96_bits_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.chain.fund(s.requester, 2**97)
    with expect_revert("SharingMarket_BadPayment", 2**96):
        s.market_call(s.requester, "createRequest", s.terms, value=2**96)
    s.market_call(s.requester, "createRequest", s.terms, value=2**96 - 1)


def test_the_request_is_stored(s: Scenario) -> None:
    before = s.market.functions.requestCount().call()
    s.create()
    request = s.request
    assert s.id == before + 1
    assert request.status == STATUS["Open"]
    assert (request.requester, request.payment) == (s.requester.address, PAYMENT)
    assert request.joinDeadline == s.chain.now + WINDOW
    assert s.facts.history == s.terms_hash
    params = s.facts.params._asdict()
    assert params == {name: s.terms[name] for name in params}


def test_the_terms_are_announced(s: Scenario) -> None:
    event = s.event("RequestCreated", s.create())
    assert event["requestId"] == s.id
    assert event["requester"] == s.requester.address
    assert event["queryKey"] == s.terms["queryKey"]
    assert event["payment"] == PAYMENT
    assert dict(event["terms"]) == s.terms


def test_the_payment_is_held(s: Scenario) -> None:
    held = s.chain.balance(s.market.address)
    s.chain.fund(s.requester)
    s.create()
    assert s.chain.balance(s.market.address) == held + PAYMENT
    assert s.chain.balance(s.requester) == FUNDS - PAYMENT


@pytest.mark.parametrize(
    "changes",
    [
        {"minProviders": 2, "maxProviders": 2, "maxRounds": 1_000, "maxError": 1, "target": 0},
        {"minProviders": 16, "maxProviders": 16, "maxError": 10_000, "target": 10_000},
        {"voteBand": 1_000, "leaderRule": 1, "approvalRule": 1},
        {f"{window}Window": 5 for window in WINDOWS},
        {f"{window}Window": MONTH for window in WINDOWS},
    ],
)
def test_the_limits_of_the_terms_are_accepted(s: Scenario, changes: dict[str, Any]) -> None:
    s.market_call(s.requester, "createRequest", {**s.terms, **changes}, value=1)
