"""Fixtures of the contract tests: one Anvil a session, each test on its own snapshot of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from tests.support.chainkit import (
    Chain,
    Compiled,
    Deployed,
    anvil_process,
    compile_sources,
    deploy_all,
    local_accounts,
)
from tests.support.scenario import Scenario

REPUTATION_UNIT = 10**15


@pytest.fixture(scope="session")
def compiled() -> dict[str, Compiled]:
    """Every contract and harness by name."""
    return compile_sources()


@pytest.fixture(scope="session")
def accounts() -> list[LocalAccount]:
    """24 accounts with 10^24 wei each; the first deploys and is the registrar."""
    return local_accounts(24)


@pytest.fixture(scope="session")
def session_chain(compiled: dict[str, Compiled], accounts: list[LocalAccount]) -> Iterator[Chain]:
    """The session's Anvil, for other session fixtures; tests take `chain`."""
    with anvil_process() as url:
        chain = Chain(url, compiled)
        for account in accounts:
            chain.fund(account)
        yield chain


@pytest.fixture(scope="session")
def deployed(session_chain: Chain, accounts: list[LocalAccount]) -> Deployed:
    """The contracts, deployed once; every test sees them untouched."""
    contracts = deploy_all(session_chain, accounts[0], accounts[0], REPUTATION_UNIT)
    return Deployed(*contracts, registrar=accounts[0])


@pytest.fixture
def chain(session_chain: Chain) -> Iterator[Chain]:
    """The chain for one test: whatever it does is undone afterwards."""
    snapshot = session_chain.snapshot()
    yield session_chain
    session_chain.revert(snapshot)
    # The clock of the undone test is undone too.
    session_chain.next_at(session_chain.now + 1)


@pytest.fixture
def expect_revert(chain: Chain) -> Callable[..., AbstractContextManager[None]]:
    """`with expect_revert("Contract_Cause", value, ...)`: the block reverts with this error."""
    return chain.expect_revert


@pytest.fixture(scope="module")
def stage(
    session_chain: Chain, deployed: Deployed, accounts: list[LocalAccount]
) -> Iterator[Callable[..., Scenario]]:
    """As `scenario`, for requests that all tests of a module start from."""
    snapshot = session_chain.snapshot()

    def new(providers: int = 3, **options: Any) -> Scenario:
        return Scenario(session_chain, deployed, accounts, providers, **options)

    yield new
    session_chain.revert(snapshot)
    session_chain.next_at(session_chain.now + 1)


@pytest.fixture
def scenario(
    chain: Chain, deployed: Deployed, accounts: list[LocalAccount]
) -> Callable[..., Scenario]:
    """`scenario(providers=3, payment=..., **terms)`: a request that a test can drive anywhere."""

    def new(providers: int = 3, **options: Any) -> Scenario:
        return Scenario(chain, deployed, accounts, providers, **options)

    return new
