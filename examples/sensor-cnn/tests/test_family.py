"""Run with `pytest` once the package is installed (`pip install -e .`)."""

from pathlib import Path

import pytest

from fedpact import Draft, check_family

DRAFT = Draft.read(Path(__file__).parents[1] / "draft.toml")


@pytest.mark.parametrize("groups", [0, 2])
def test_the_family_keeps_what_it_promises(groups: int) -> None:
    family = {"name": "sensor-cnn", "parameters": {"channels": [4, 4], "groups": groups}}
    found = check_family(DRAFT.changed(family=family).specification)
    assert [one for one in found if not one.passed] == []
