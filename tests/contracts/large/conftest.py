"""The contracts with rounds of whole pools, deployed once; a request that a test can drive
anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.large.kit import MEMBERS, LargeRounds
from tests.contracts.rounds.kit import Contracts, deploy
from tests.support.chainkit import Chain


@pytest.fixture(scope="session")
def contracts(session_chain: Chain, accounts: Any) -> Contracts:
    return deploy(session_chain, accounts[0], "LargeRounds")


@pytest.fixture
def waiting(chain: Chain, contracts: Contracts, accounts: Any) -> Callable[..., LargeRounds]:
    """`waiting(members=12, **terms)`: a request whose pool is full."""

    def new(members: Any = MEMBERS, **terms: Any) -> LargeRounds:
        made = LargeRounds(chain, contracts, accounts, members, **terms)
        made.create()
        made.enrol()
        return made

    return new


@pytest.fixture
def running(waiting: Callable[..., LargeRounds]) -> Callable[..., LargeRounds]:
    """`running(members=12, **terms)`: round 1 takes models."""

    def new(members: Any = MEMBERS, **terms: Any) -> LargeRounds:
        made = waiting(members, **terms)
        made.start()
        return made

    return new
