"""Fixtures of the second protocol's contract tests: an Anvil of their own, with its contracts.

They shadow those of tests/contracts/conftest.py, since contracts of both protocols share names.
"""

from collections.abc import Iterator

import pytest
from eth_account.signers.local import LocalAccount

from tests.support.chainkit import Chain, Compiled, anvil_process, compile_second


@pytest.fixture(scope="session")
def compiled() -> dict[str, Compiled]:
    """Every contract of contracts/v2 and every harness by name."""
    return compile_second()


@pytest.fixture(scope="session")
def session_chain(compiled: dict[str, Compiled], accounts: list[LocalAccount]) -> Iterator[Chain]:
    with anvil_process() as url:
        chain = Chain(url, compiled)
        for account in accounts:
            chain.fund(account)
        yield chain
