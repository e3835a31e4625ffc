"""The scattering transform against another implementation, and what the feature map promises."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.errors import DataError
from fedpact.features import scattering

GOLDEN = json.loads((Path(__file__).parent / "scattering_golden.json").read_text())


def images(count: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


def test_coefficients_are_those_of_kymatio() -> None:
    i, j = np.mgrid[:12, :16]
    image = ((7 * i + 3 * j + i * j) % 11 / 10).astype(np.float32)
    expected = np.array(GOLDEN["coefficients"]).reshape(81, 3, 4)
    # kymatio writes 3.1415 for pi in the constant of each of its filters: 1, 2 or 3 in a row.
    filters = np.repeat([1, 2, 3], [1, 16, 64])[:, None, None]
    expected *= (3.1415 / math.pi) ** filters
    assert np.abs(scattering.scattering(image[None])[0] - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("shape", "features"), [((28, 28), 3969), ((3, 32, 32), 15_552), ((8, 8), 324)]
)
def test_the_number_of_features_follows_from_the_shape(
    shape: tuple[int, ...], features: int
) -> None:
    assert scattering.width(shape) == features
    assert scattering.features(images(2, shape)).shape == (2, features)


def test_channels_are_transformed_one_by_one() -> None:
    colour = images(3, (3, 8, 12))
    whole = scattering.scattering(colour).reshape(3, 3, 81, 2, 3)
    for channel in range(3):
        assert np.allclose(whole[:, channel], scattering.scattering(colour[:, channel]), atol=1e-6)


def test_an_example_does_not_depend_on_its_company() -> None:
    several = images(40, (8, 8))
    alone = np.concatenate([scattering.features(one[None]) for one in several])
    assert np.allclose(scattering.features(several), alone, atol=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100), st.floats(-100, 100))
def test_an_example_has_norm_one_at_any_contrast(
    seed: int, contrast: float, brightness: float
) -> None:
    found = scattering.features(contrast * images(2, (12, 8), seed) + np.float32(brightness))
    assert np.all(np.linalg.norm(found.astype(np.float64), axis=1) <= 1 + 1e-5)


def test_normalisation_makes_each_group_even() -> None:
    found = scattering.features(images(2, (16, 16))).astype(np.float64) * np.sqrt(81 * 16)
    groups = found.reshape(2, 27, 3 * 16)
    assert np.allclose(groups.mean(axis=2), 0, atol=1e-4)
    assert (groups.var(axis=2) <= 1 + 1e-4).all()
    assert groups.var(axis=2)[:, 0] == pytest.approx(1, abs=0.01)


def test_an_even_image_stays_finite() -> None:
    assert np.isfinite(scattering.features(np.full((1, 8, 8), 0.5, dtype=np.float32))).all()


def test_a_shift_of_a_fine_pattern_changes_little() -> None:
    stripes = np.cos(3 * math.pi / 4 * np.arange(32, dtype=np.float32))
    image, shifted = (np.tile(np.roll(stripes, by), (32, 1)) for by in (0, 1))
    here, there = scattering.scattering(np.stack([image, shifted]))
    assert np.linalg.norm(shifted - image) > np.linalg.norm(image)
    assert np.linalg.norm(there - here) < 0.1 * np.linalg.norm(here)


@pytest.mark.parametrize("shape", [(30, 28), (4, 4), (64,), (1, 3, 32, 32)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="multiples of 4"):
        scattering.features(np.zeros((1, *shape), dtype=np.float32))


def test_values_that_are_not_finite_are_refused() -> None:
    broken = np.zeros((1, 8, 8), dtype=np.float32)
    broken[0, 3, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        scattering.features(broken)


def test_no_images_give_no_features() -> None:
    assert scattering.features(np.zeros((0, 8, 8), dtype=np.float32)).shape == (0, 324)


def test_in_a_mirror_orientations_are_turned_and_maps_run_backwards():
    # Waves down the rows look alike in a mirror; a stripe at one slope is one at the other.
    size = (1, scattering.MAPS, 2, 2)
    for orientation, turned in ((3, 3), (2, 4), (0, 6), (7, 7)):
        values = np.zeros(size, np.float32)
        values[0, 1 + orientation, 0, 1] = 1.0
        values[0, 1 + turned, 0, 0] += 1.0
        exchanged = scattering.mirrored(values.reshape(1, -1), (8, 8))
        assert np.count_nonzero(exchanged) == 1
        assert exchanged.max() == pytest.approx(math.sqrt(2))


def test_a_mirror_image_has_nearly_the_same_mirrored_features():
    generator = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(generator.normal(size=(20, 3, 32, 32)), axis=2), axis=3)
    images = (smooth / np.abs(smooth).max()).astype(np.float32)
    plain, turned = (scattering.features(one) for one in (images, images[..., ::-1]))
    kept, also = (scattering.mirrored(one, (3, 32, 32)) for one in (plain, turned))
    assert kept.shape == (20, scattering.width((3, 32, 32)) // 2)
    apart = np.linalg.norm(kept - also, axis=1)
    assert apart.mean() < np.linalg.norm(plain - turned, axis=1).mean() / 2


def test_mirroring_makes_no_example_longer_and_keeps_its_type():
    features = np.random.default_rng(1).normal(size=(5, scattering.width((8, 8))))
    for one in (features.astype(np.float32), features.astype(np.float16)):
        kept = scattering.mirrored(one, (8, 8))
        assert kept.dtype == one.dtype
        wide, before = kept.astype(np.float64), one.astype(np.float64)
        assert (np.linalg.norm(wide, axis=1) <= np.linalg.norm(before, axis=1) * 1.001).all()
    with pytest.raises(DataError, match="do not belong to images"):
        scattering.mirrored(features[:, 1:], (8, 8))
