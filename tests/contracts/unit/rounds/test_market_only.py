"""See market_only.tree."""

from typing import Any

import pytest

from tests.support.scenario import KEY_HASH, MANIFEST, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage().opened()


@pytest.mark.parametrize("name", ["prepare", "enlist", "unseat", "open", "halt"])
def test_only_the_market_may_call(s: Scenario, name: str, expect_revert: Any) -> None:
    someone = s.providers[0]
    params = (9_000, 500, 1, 0, 0, 50, 1_000, 1_000, 1_000, 1_000)
    arguments = {
        "enlist": [s.id, someone.address, 100, 999, 4_000],
        "unseat": [s.id, 0, someone.address],
        "prepare": [s.id, params, bytes(32)],
        "open": [s.id, 0, someone.address, MANIFEST, KEY_HASH, s.accounts],
        "halt": [s.id],
    }
    for caller in (someone, s.requester, s.deployed.registrar):
        with expect_revert("TrainingRounds_NotMarket", caller.address):
            s.rounds_call(caller, name, *arguments[name])
