"""Features on disk: computed once, found again, never half written."""

from pathlib import Path

import numpy as np
import pytest

from fedpact.errors import DataError
from fedpact.features import scattering
from fedpact.features.cache import rounded_features, scattering_features

IMAGES = np.random.default_rng(1).random((40, 8, 8), dtype=np.float32)


def test_cached_features_have_16_bits(tmp_path: Path) -> None:
    found = scattering_features(IMAGES, tmp_path)
    assert found.dtype == np.float16
    assert np.abs(found - scattering.features(IMAGES)).max() < 2e-4
    assert not found.flags.writeable


def test_the_same_images_are_not_computed_twice(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    first = scattering_features(IMAGES, tmp_path, on_progress=lambda *at: steps.append(at))
    assert steps == [(32, 40), (40, 40)]
    again = scattering_features(IMAGES, tmp_path, on_progress=lambda *at: steps.append(at))
    assert len(steps) == 2
    assert np.array_equal(first, again)


def test_other_images_have_their_own_file(tmp_path: Path) -> None:
    scattering_features(IMAGES, tmp_path)
    scattering_features(IMAGES.reshape(20, 2, 8, 8), tmp_path)
    scattering_features(IMAGES[:20], tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 3


def test_a_damaged_file_is_built_again(tmp_path: Path) -> None:
    whole = np.array(scattering_features(IMAGES, tmp_path))
    (path,) = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[:1000])
    assert np.array_equal(scattering_features(IMAGES, tmp_path), whole)


def test_an_interrupted_computation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def interrupt(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scattering_features(IMAGES, tmp_path, on_progress=interrupt)
    (part,) = tmp_path.iterdir()
    with part.open("ab") as file:
        file.write(b"half a row")
    steps: list[tuple[int, int]] = []
    found = scattering_features(IMAGES, tmp_path, on_progress=lambda *at: steps.append(at))
    assert steps == [(40, 40)]
    assert np.array_equal(found, rounded_features(IMAGES))
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".ids", ".npy"]


def test_a_partial_file_without_its_header_is_begun_again(tmp_path: Path) -> None:
    scattering_features(IMAGES, tmp_path)
    (whole,) = tmp_path.glob("*.npy")
    whole.with_suffix(".part").write_bytes(whole.read_bytes()[:20])
    whole.unlink()
    assert np.array_equal(scattering_features(IMAGES, tmp_path), rounded_features(IMAGES))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"features .*file"):
        scattering_features(IMAGES, tmp_path / "file")
