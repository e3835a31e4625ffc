"""Fixtures that all suites share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.chain.devnet import Devnet


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A chain for the session: a block a transaction, and one each second."""
    folder: Path = tmp_path_factory.mktemp("anvil")
    with Devnet.start(folder) as devnet:
        yield devnet
