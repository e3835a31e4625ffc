"""Reading files that people write: every way in which that fails is one kind of error."""

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedpact.errors import FedpactError


def read_toml(path: Path, what: str, error: type[FedpactError]) -> dict[str, Any]:
    """A TOML file. Raises `error`, whose message says what file it is and what is wrong. Not for
    secrets: it may quote the file."""
    with _reported(path, what, error):
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def read_json(path: Path, what: str, error: type[FedpactError]) -> Any:
    """As `read_toml`, of a JSON file."""
    with _reported(path, what, error):
        return json.loads(path.read_text(encoding="utf-8-sig"))


@contextmanager
def _reported(path: Path, what: str, error: type[FedpactError]) -> Iterator[None]:
    try:
        yield
    except OSError as failed:
        raise error(f"{what} {path}: {failed.strerror}") from failed
    except ValueError as failed:  # also of an encoding, and of a number with 5,000 digits
        raise error(f"{what} {path}: {failed}") from failed
    except RecursionError as failed:
        raise error(f"{what} {path}: nested too deeply") from failed
