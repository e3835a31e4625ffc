"""What is asked of the ServerApp of a draft for a Flower app.

Here a function takes the place of the app's process; tests/integration/test_flower.py runs apps.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.errors import SpecificationError
from fedpact.learning import packages
from fedpact.learning.artefact import encode
from fedpact.learning.flower import parameters
from fedpact.learning.flower.jobs import Describe
from fedpact.requester.draft import Draft
from fedpact.requester.first_model import first_model
from tests.support import flower_apps
from tests.support.flower_apps import installed

FIELDS: dict[str, Any] = {
    **flower_apps.FIELDS,
    "rounds": 2,
    "family": {
        "name": "flower",
        "parameters": {
            "app": "numpyexample.client_app:app",
            "server": "numpyexample.server_app:app",
        },
    },
}


class ServerApp:
    """In place of the app's process."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.asked: list[Describe] = []

    def ask(self, job: Describe) -> bytes:
        self.asked.append(job)
        header = {"arrays": json.dumps([["a", self.dtype, [3]]]), "train_config": '"lr" = 0.5'}
        return json.dumps(header).encode() + b"\n" + encode({"a": np.ones(3, np.float32)})


@pytest.fixture(scope="module", autouse=True)
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield installed("numpy-client", "0.1.0", tmp_path_factory.mktemp("app"), patch)
    packages.package_of_app.cache_clear()


def served(patch: pytest.MonkeyPatch, dtype: str) -> ServerApp:
    found = ServerApp(dtype)
    patch.setattr(parameters, "host_of", lambda _: found)
    parameters.described.cache_clear()
    return found


def test_a_request_asks_the_server_app_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked again for the first model."""
    found = served(monkeypatch, "float64")
    draft = Draft(FIELDS)
    spec = draft.changed(features={"shape": [3], "columns": ["a", "b", "c"]}).specification
    assert spec.family.parameters["train_config"] == '"lr" = 0.5'
    assert np.array_equal(first_model(draft, spec, None)["a"], np.ones(3))
    assert len(found.asked) == 1
    first_model(draft.changed(seed=1), spec, None)
    assert [one.seed for one in found.asked] == [0, 1]


def test_arrays_without_an_update_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch, "uint8")
    with pytest.raises(SpecificationError, match="ServerApp's first arrays: array 'a' is uint8"):
        _ = Draft(FIELDS).specification
