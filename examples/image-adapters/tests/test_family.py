"""Run with `pytest` once the package is installed (`pip install -e .`)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fedpact_image_adapters import ImageAdapters, last

from fedpact import Draft, check_family
from fedpact.errors import SpecificationError
from fedpact.features.networks.efficientnet import efficientnet_lite0
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.features.networks.session import FrozenSession

DRAFT = Draft.read(Path(__file__).parents[1] / "draft.toml")
PHOTOS = np.random.default_rng(0).random((3, 3, 16, 16), dtype=np.float32)


def draft(shape: list[int], **parameters: int) -> Draft:
    family = {"name": "image-adapters", "parameters": {"rank": 2, "side": 32, **parameters}}
    return DRAFT.changed(features={"shape": shape}, family=family)


def test_the_family_keeps_what_it_promises() -> None:
    found = check_family(draft([3, 16, 16]).specification)
    assert [one for one in found if not one.passed] == []


def test_it_begins_as_the_frozen_network() -> None:
    spec, family = draft([3, 16, 16]).specification, ImageAdapters()
    model = family.initial(spec, seed=1)
    assert not model["up"].any()
    whole = FrozenSession(efficientnet_lite0(EFFICIENTNET_LITE0.load(), (3, 16, 16), 32))
    features = np.stack([whole.run(one[None]) for one in PHOTOS])
    logits = features @ model["output.weight"].T + model["output.bias"]
    expected = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    np.testing.assert_allclose(family.predict(spec, model, PHOTOS), expected, atol=2e-3)
    assert last()[0].shape == (1280, 320)


def test_rows_are_kept_and_an_image_that_overflows_is_zeros(tmp_path: Path) -> None:
    spec, family = draft([3, 16, 16]).specification, ImageAdapters()
    photos = np.concatenate([PHOTOS, np.full((1, 3, 16, 16), 3e38, np.float32)])
    rows = family.represented(spec, photos)
    assert rows[:3].any(axis=1).all()
    assert not rows[3].any()
    assert np.array_equal(family.represented(spec, photos, tmp_path), rows)
    assert np.array_equal(family.represented(spec, photos[1:2])[0], rows[1])


@pytest.mark.parametrize(("shape", "side"), [([8], 32), ([2, 8, 8], 32), ([3, 8, 8], 16)])
def test_what_cannot_be_built_is_refused(shape: list[int], side: int) -> None:
    with pytest.raises(SpecificationError):
        draft(shape, side=side).specification  # noqa: B018
