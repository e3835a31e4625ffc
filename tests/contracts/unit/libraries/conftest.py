"""The library harness, deployed once: its functions are pure and are only called."""

import pytest


@pytest.fixture(scope="session")
def libraries(session_chain, accounts):
    return session_chain.deploy("LibraryHarness", accounts[0]).functions
