"""Paths of files, as callers of the Python API give them."""

from os import PathLike
from pathlib import Path
from typing import Any

from fedpact.errors import InvalidInput


def path_of(name: str, given: Any) -> Path:
    """The path that an argument gives. Raises InvalidInput for anything else, of which it names the
    type alone: it may be a table of private records."""
    if not isinstance(given, str | PathLike):
        raise InvalidInput(f"{name}: the path of a file is needed, not {type(given).__name__}")
    return Path(given)
