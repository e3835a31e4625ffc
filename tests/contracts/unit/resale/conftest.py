"""Every test here leaves the chain as its module's fixtures made it."""

import pytest

from tests.support.chainkit import Chain


@pytest.fixture(autouse=True)
def _undone(chain: Chain) -> None:
    pass
