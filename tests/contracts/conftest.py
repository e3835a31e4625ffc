"""Fixtures of the contract tests: one Anvil a session, each test on its own snapshot of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from eth_account.signers.local import LocalAccount

from tests.support.chainkit import (
    Chain,
    Compiled,
    anvil_process,
    compile_sources,
    local_accounts,
)


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
    """The session's Anvil, for other session fixtures; tests take `chain`. MUTANT: which
    switches to turn on in contracts that have some, and are larger (scripts/mutation.py)."""
    mutant = os.environ.get("MUTANT")
    with anvil_process(*(["--disable-code-size-limit"] if mutant else [])) as url:
        chain = Chain(url, compiled)
        if mutant:
            chain.rpc("anvil_setCoinbase", f"0x{int(mutant):040x}")
        for account in accounts:
            chain.fund(account)
        yield chain


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
