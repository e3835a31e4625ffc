"""Where the files of public data sets are."""

import os
from collections.abc import Sequence
from pathlib import Path

from fedpact.errors import DataMissing

DATA_VARIABLE = "FEDPACT_DATA"


def data_root(name: str) -> Path:
    """The folder that FEDPACT_DATA names; raises DataMissing, for data set `name`, if unset."""
    root = os.environ.get(DATA_VARIABLE)
    if not root:
        raise DataMissing(f"{name}: set {DATA_VARIABLE} to the folder that holds data sets")
    return Path(root)


def data_folder(
    name: str, candidates: Sequence[str], wanted: Sequence[str], root: Path | None
) -> Path:
    """The first of `candidates`, folders under `root`, that has one of the files `wanted`.

    `root` None: FEDPACT_DATA. Raises DataMissing if none has.
    """
    root = root or data_root(name)
    for candidate in candidates:
        if any((root / candidate / file).exists() for file in wanted):
            return root / candidate
    searched = ", ".join(str(root / candidate) for candidate in candidates)
    raise DataMissing(f"{name}: no {wanted[0]} in {searched}")
