"""Run with `pytest` once the package is installed (`pip install -e .`)."""

from pathlib import Path

import pytest

from fedpact import Draft, check_family
from fedpact.errors import SpecificationError

DRAFT = Draft.read(Path(__file__).parents[1] / "draft.toml")


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [([3, 8, 8], {"channels": [4, 8], "groups": 4}), ([9, 8], {"channels": [4], "groups": 2})],
)
def test_the_family_keeps_what_it_promises(shape: list[int], parameters: dict[str, object]) -> None:
    family = {"name": "resnet", "parameters": parameters}
    found = check_family(DRAFT.changed(features={"shape": shape}, family=family).specification)
    assert [one for one in found if not one.passed] == []


@pytest.mark.parametrize(
    ("shape", "parameters", "said"),
    [
        ([8], {}, "images of shape"),
        ([3, 3, 8], {"channels": [8, 8, 8]}, "3 stages need images of 4 x 4 pixels at least"),
        ([8, 8], {"channels": [4, 6], "groups": 4}, "4 groups do not divide channels"),
    ],
)
def test_what_cannot_be_built_is_refused(
    shape: list[int], parameters: dict[str, object], said: str
) -> None:
    family = {"name": "resnet", "parameters": parameters}
    with pytest.raises(SpecificationError, match=said):
        DRAFT.changed(features={"shape": shape}, family=family).specification  # noqa: B018
