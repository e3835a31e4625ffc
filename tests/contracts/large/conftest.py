"""The contracts with rounds of whole pools, deployed once; a request that a test can drive
anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.large.kit import DRAW_DELAY, MEMBERS, LargeRounds
from tests.contracts.rounds.kit import Contracts, deploy
from tests.support.chainkit import Chain


@pytest.fixture(scope="session")
def contracts(session_chain: Chain, accounts: Any) -> Contracts:
    return deploy(session_chain, accounts[0], "LargeRounds", DRAW_DELAY)


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
    """`running(members=12, **terms)`: round 1 takes models, and the block is there that draws its
    committee; no transaction has drawn it."""

    def new(members: Any = MEMBERS, **terms: Any) -> LargeRounds:
        made = waiting(members, **terms)
        made.start()
        made.await_block()
        return made

    return new
