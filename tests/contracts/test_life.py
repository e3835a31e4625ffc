"""Requests from creation to the last claim, to the wei."""

from __future__ import annotations

from typing import Any

import pytest
from chainkit import Chain, Deployed
from scenario import Scenario


@pytest.mark.parametrize("providers", [3, 5])
def test_two_rounds_pay_every_wei(
    providers: int, chain: Chain, deployed: Deployed, accounts: list[Any]
) -> None:
    s = Scenario(chain, deployed, accounts, providers, maxRounds=2, payment=10**18 + 7)
    s.running()
    s.play_round()
    s.play_round()
    assert s.facts.round == 2
    s.deliver()
    print({k: sum(v) for k, v in s.gas.items()})
