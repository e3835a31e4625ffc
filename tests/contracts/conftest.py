"""Fixtures of the contract tests: one Anvil a session, each test on its own snapshot of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from chainkit import (
    Chain,
    Compiled,
    anvil_process,
    compile_sources,
    deploy_all,
    local_accounts,
)
from eth_account.signers.local import LocalAccount
from web3.contract import Contract

REPUTATION_UNIT = 10**15


@dataclass(frozen=True)
class Deployed:
    """The three contracts; `registrar` may admit participants."""

    registry: Contract
    market: Contract
    rounds: Contract
    registrar: LocalAccount


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
    """Registry, market and rounds, deployed once; every test sees them untouched."""
    contracts = deploy_all(session_chain, accounts[0], accounts[0], REPUTATION_UNIT)
    return Deployed(*contracts, registrar=accounts[0])


@pytest.fixture
def chain(session_chain: Chain) -> Iterator[Chain]:
    """The chain for one test: whatever it does is undone afterwards."""
    snapshot = session_chain.snapshot()
    yield session_chain
    session_chain.revert(snapshot)


@pytest.fixture
def expect_revert(chain: Chain) -> Callable[..., AbstractContextManager[None]]:
    """`with expect_revert("Contract_Cause", value, ...)`: the block reverts with this error."""
    return chain.expect_revert
