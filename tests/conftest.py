"""What all suites share.

One thread of linear algebra a process, in what the tests start, too: the workers keep all cores
busy, and threads that wait for each other's cores took four times the processor time.
"""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fedpact.chain.devnet import Devnet

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# The processes that tests start share their compiled imports: compiling takes each 4 seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No example fails because the machine is busy. Each run draws other examples.
settings.register_profile(
    "quick", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=200)
settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that wait for daemons: at the end they would leave a worker idle."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/integration/", "tests/e2e/")))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nearly all that is imported and collected stays: looking for garbage in it takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A chain for the session: a block a transaction, and one each second."""
    folder: Path = tmp_path_factory.mktemp("anvil")
    with Devnet.start(folder) as devnet:
        yield devnet
