"""The second market, deployed once; a request that a test can drive anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.market.kit import Contracts, Request, deploy
from tests.support.chainkit import Chain


@pytest.fixture(scope="session")
def contracts(session_chain: Chain, accounts: Any) -> Contracts:
    return deploy(session_chain, accounts[0])


@pytest.fixture
def request_of(chain: Chain, contracts: Contracts, accounts: Any) -> Callable[..., Request]:
    """`request_of(members=4, **terms)`: a request that is not yet created."""

    def new(members: Any = 4, **terms: Any) -> Request:
        return Request(chain, contracts, accounts, members, **terms)

    return new


@pytest.fixture
def delivered(request_of: Callable[..., Request]) -> Callable[..., Request]:
    """`delivered(*entries, members=4, reached=False, **terms)`: a request whose rounds earned
    `entries`, and whose model is delivered."""

    def new(*entries: Any, members: Any = 4, reached: bool = False, **terms: Any) -> Request:
        r = request_of(members, **terms)
        r.create()
        r.start()
        r.end(*entries, reached=reached)
        r.deliver()
        return r

    return new


@pytest.fixture
def token(chain: Chain, contracts: Contracts, accounts: Any) -> Callable[[str], Any]:
    """`token("FeeToken")`: a token that the requester holds and lets the market take."""

    def new(name: str) -> Any:
        made = chain.deploy(name, accounts[0])
        chain.send(accounts[0], made.functions.mint(accounts[1].address, 10**30))
        chain.send(accounts[1], made.functions.approve(contracts.market.address, 2**256 - 1))
        return made

    return new
