"""Public data sets."""

import gzip
import os
import struct

import numpy as np
import pytest

from fedpact.data import sources
from fedpact.errors import DataError


def idx(values):
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes((0, 0, 8, values.ndim)) + sizes + values.astype(np.uint8).tobytes()


def small_mnist(folder):
    for prefix, count in (("train", 3), ("t10k", 2)):
        images = np.arange(count * 4).reshape(count, 2, 2)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        labels = gzip.compress(idx(np.arange(count)))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(labels)


def test_digits_are_split_by_seed_without_overlap():
    first, again, other = sources.digits(1), sources.digits(1), sources.digits(2)
    assert first.x_train.shape == (1437, 64)
    assert first.x_test.shape == (360, 64)
    assert first.x_train.max() == first.scale == 16.0
    assert np.array_equal(first.x_test, again.x_test)
    assert not np.array_equal(first.x_test, other.x_test)
    both = np.concatenate([first.x_train, first.x_test])
    everything = np.concatenate([other.x_train, other.x_test])
    assert sorted(map(bytes, both)) == sorted(map(bytes, everything))


@pytest.mark.parametrize("below", [".", "mnist", "mnist/raw"])
def test_mnist_is_read_from_plain_and_packed_idx_files(tmp_path, monkeypatch, below):
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    small_mnist(folder)
    monkeypatch.setenv("FEDPACT_DATA", str(tmp_path))
    found = sources.mnist()
    assert found.shape == (2, 2)
    assert found.x_train[2].tolist() == [[8, 9], [10, 11]]
    assert found.y_test.tolist() == [0, 1]


def test_mnist_without_its_variable_or_files_says_so_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("FEDPACT_DATA", raising=False)
    with pytest.raises(DataError, match="set FEDPACT_DATA"):
        sources.mnist()
    with pytest.raises(DataError, match="no train-images-idx3-ubyte"):
        sources.mnist(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"\0\0\x0b" + data[3:],
        lambda data: data[:6],
        lambda data: data[:4] + b"\xff" * 12 + data[16:],
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path, damage):
    small_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="train-images"):
        sources.mnist(tmp_path)


@pytest.mark.skipif("FEDPACT_DATA" not in os.environ, reason="FEDPACT_DATA is not set")
def test_the_real_mnist_has_its_published_size():
    found = sources.mnist()
    assert found.x_train.shape == (60_000, 28, 28)
    assert found.x_test.shape == (10_000, 28, 28)
