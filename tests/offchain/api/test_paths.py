"""What the Python API says of an argument that should be a path."""

from collections.abc import Callable
from typing import Any, cast

import pandas as pd
import pytest

import fedpact
from fedpact.api.provider import Provider
from fedpact.api.registrar import Registrar
from fedpact.api.request import Request
from fedpact.session import Session

NO_SESSION = cast(Session, None)
TAKING_A_PATH: dict[str, Callable[[Any], Any]] = {
    "config": lambda given: fedpact.connect(config=given),
    "path": fedpact.Model,
    "draft": fedpact.Draft.read,
    "schema": fedpact.DataSchema.read,
    "data": lambda given: Provider(NO_SESSION).serve(given, "policy.toml"),
    "policy": lambda given: Provider(NO_SESSION).check(None, given),
    "policy ": Provider(NO_SESSION).privacy_left,
    "schema ": lambda given: Provider(NO_SESSION).check(None, "policy.toml", schema=given),
    "output": lambda given: Registrar(NO_SESSION).voucher("alice", 1, given),
    "path ": lambda given: Request(NO_SESSION, 1).result(given),
}


@pytest.mark.parametrize("name", TAKING_A_PATH)
@pytest.mark.parametrize("given", [3, b"file", pd.DataFrame({"age": [41]})])
def test_what_is_no_path_is_refused_without_its_values(name: str, given: Any) -> None:
    """It ended with a bare TypeError of pathlib's."""
    said = f"{name.strip()}: the path of a file is needed, not {type(given).__name__}$"
    with pytest.raises(fedpact.errors.InvalidInput, match=said):
        TAKING_A_PATH[name](given)
