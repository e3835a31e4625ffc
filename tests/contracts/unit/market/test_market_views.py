"""See views.tree."""

from typing import Any

from tests.support.scenario import PAYMENT


def test_the_requester_is_named(scenario: Any) -> None:
    s = scenario().opened()
    assert s.market.functions.requesterOf(s.id).call() == s.requester.address
    assert int(s.market.functions.requesterOf(s.id + 1).call(), 16) == 0


def test_nothing_is_owed_before_it_is_decided(scenario: Any) -> None:
    s = scenario().finalised()
    functions = s.market.functions
    assert [functions.claimable(s.id, seat).call() for seat in range(3)] == [0, 0, 0]
    assert functions.refundable(s.id).call() == 0


def test_the_whole_payment_is_owed_once_decided(scenario: Any) -> None:
    s = scenario(maxRounds=3).finalised()
    s.cancel()
    s.deliver()
    functions = s.market.functions
    owed = [functions.claimable(s.id, seat).call() for seat in range(3)]
    assert PAYMENT - 3 < sum(owed) + functions.refundable(s.id).call() <= PAYMENT


def test_nothing_is_owed_for_unknown_requests_and_seats(scenario: Any) -> None:
    s = scenario().delivered()
    functions = s.market.functions
    assert functions.refundable(s.id + 1).call() == 0
    for request_id, seat in [(s.id + 1, 0), (s.id, 3), (s.id, 2**255)]:
        assert functions.claimable(request_id, seat).call() == 0
