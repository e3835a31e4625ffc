"""The contracts, deployed once; a request that a test can drive anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.rounds.kit import Contracts, Rounds, deploy
from tests.support.chainkit import Chain


@pytest.fixture(scope="session")
def contracts(session_chain: Chain, accounts: Any) -> Contracts:
    return deploy(session_chain, accounts[0])


@pytest.fixture
def rounds_of(chain: Chain, contracts: Contracts, accounts: Any) -> Callable[..., Rounds]:
    """`rounds_of(members=3, **terms)`: a request that is not yet created."""

    def new(members: Any = 3, **terms: Any) -> Rounds:
        return Rounds(chain, contracts, accounts, members, **terms)

    return new


@pytest.fixture
def running(rounds_of: Callable[..., Rounds]) -> Callable[..., Rounds]:
    """`running(members=3, **terms)`: round 1 waits for submissions."""

    def new(members: Any = 3, **terms: Any) -> Rounds:
        return rounds_of(members, **terms).running()

    return new
