"""Requests that the unit tests of several contracts start from."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.scenario import ATTRIBUTES, Scenario


@pytest.fixture
def contract_provider(
    scenario: Callable[..., Scenario],
) -> Callable[..., tuple[Scenario, Any]]:
    """`contract_provider(offered=False)`: a delivered request, and the contract in its seat 0.

    The contract decides how it receives payments. `offered`: the result is for resale.
    """

    def new(*, offered: bool = False) -> tuple[Scenario, Any]:
        s = scenario()
        taker = s.chain.deploy("HostileTaker", s.stranger)
        s.admit(taker, 999)
        s.create()
        if offered:
            s.offer()
        # The chain impersonates any sender, so the contract's address can act as a provider.
        s.providers = [taker.address, *s.providers[:2]]
        s.chain.fund(taker.address)
        s.market_call(taker.address, "join", s.id, 100, ATTRIBUTES)
        s.join(1)
        s.join(2)
        s.start()
        s.play_round()
        s.deliver()
        return s, taker

    return new
