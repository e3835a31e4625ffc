"""The market that `fedpact devnet market` runs, with the files from which docs/python.md begins."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedpact.demo.network import DemoNetwork
from fedpact.demo.playground import playground

ROWS = 300
"""Machines of each plant; few, so that a round takes a second."""


@contextmanager
def plants_market(folder: Path) -> Iterator[DemoNetwork]:
    """With `folder` as the working folder."""
    before = Path.cwd()
    with playground(folder, ROWS) as network:
        os.chdir(folder)
        try:
            yield network
        finally:
            os.chdir(before)
