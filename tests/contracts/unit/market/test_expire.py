"""See expire.tree."""

from typing import Any

import pytest

from tests.support.scenario import PAYMENT, STATUS, WINDOW, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    scenario = stage()
    scenario.create()
    return scenario


def expire(s: Scenario) -> Any:
    return s.market_call(s.stranger, "expire", s.id)


def test_a_running_request_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.join_all()
    s.start()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Running"]):
        expire(s)


def test_nothing_expires_during_the_join_window(s: Scenario, expect_revert: Any) -> None:
    s.chain.next_at(s.request.joinDeadline)
    with expect_revert("SharingMarket_NotExpired", s.id):
        expire(s)


@pytest.mark.parametrize("joined", [0, 1])
def test_too_few_providers_cancel(s: Scenario, joined: int) -> None:
    for provider in range(joined):
        s.join(provider)
    s.chain.next_at(s.request.joinDeadline + 1)
    receipt = expire(s)
    assert s.event("Expired", receipt) == {"requestId": s.id}
    assert s.status == STATUS["Cancelled"]


@pytest.mark.parametrize("joined", [2, 3])
def test_nothing_expires_while_a_member_may_start(
    s: Scenario, joined: int, expect_revert: Any
) -> None:
    for provider in range(joined):
        s.join(provider)
    closed = s.request.closedAt or s.request.joinDeadline
    s.chain.next_at(closed + joined * WINDOW)
    with expect_revert("SharingMarket_NotExpired", s.id):
        expire(s)


def test_a_request_that_nobody_starts_is_cancelled(s: Scenario) -> None:
    s.join_all()
    s.chain.next_at(s.request.closedAt + 3 * WINDOW + 1)
    expire(s)
    before = s.chain.balance(s.requester)
    s.refund()
    assert s.chain.balance(s.requester) == before + PAYMENT
