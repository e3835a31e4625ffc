"""Keys in a JSON file that only its owner can read, to be handed to somebody."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fedpact.errors import InvalidInput

T = TypeVar("T")


def write_keys(path: Path, document: dict[str, Any]) -> None:
    """To a new file; InvalidInput if that fails."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


def read_keys(path: Path, form: str, what: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """What `parse` makes of the document. InvalidInput for a file that is not of format `form`, or
    holds no `what`; its message shows no key."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != form:
            raise InvalidInput(f"{path} is not of format {form}")
        return parse(document)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise InvalidInput(f"{path} holds no {what}") from None
