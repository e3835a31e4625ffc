"""Public data sets for demonstrations and experiments."""

import gzip
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError

DATA_VARIABLE = "FEDPACT_DATA"
DIGITS_TEST_SIZE = 360
"""A fifth of the 1,797 images."""


@dataclass(frozen=True)
class Source:
    """A data set in two parts. Values as published, not yet scaled."""

    name: str
    x_train: NDArray[np.float32]
    """Shape (n, *shape)."""
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    labels: tuple[str, ...]
    scale: float
    """The largest value that can occur."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(size) for size in self.x_train.shape[1:])


def digits(seed: int = 0) -> Source:
    """scikit-learn's 8 x 8 handwritten digits, split at random into 1,437 and 360 by `seed`."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    x, y = bunch.data.astype(np.float32)[order], bunch.target.astype(np.int64)[order]
    return Source(
        "digits",
        x[DIGITS_TEST_SIZE:],
        y[DIGITS_TEST_SIZE:],
        x[:DIGITS_TEST_SIZE],
        y[:DIGITS_TEST_SIZE],
        tuple(str(label) for label in range(10)),
        scale=16.0,
    )


def mnist(folder: Path | None = None) -> Source:
    """The 28 x 28 handwritten digits from IDX files in `folder`, its `mnist` or its `mnist/raw`.

    `folder` is by default what the variable FEDPACT_DATA names. Raises DataError where it is
    unset, or where the files are missing or broken.
    """
    if folder is None:
        named = os.environ.get(DATA_VARIABLE)
        if not named:
            raise DataError(f"mnist: set {DATA_VARIABLE} to a folder that holds the IDX files")
        folder = Path(named)
    parts = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        x = _idx(_find(folder, f"{prefix}-images-idx3-ubyte"), 3)
        y = _idx(_find(folder, f"{prefix}-labels-idx1-ubyte"), 1)
        if len(x) != len(y):
            raise DataError(f"mnist: {len(x)} images and {len(y)} labels in {folder}")
        parts[part] = (x.astype(np.float32), y.astype(np.int64))
    labels = tuple(str(label) for label in range(10))
    return Source("mnist", *parts["train"], *parts["test"], labels, scale=255.0)


def _find(folder: Path, name: str) -> Path:
    for place in (folder, folder / "mnist", folder / "mnist" / "raw"):
        for candidate in (place / name, place / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise DataError(f"mnist: no {name} in {folder} (nor in its mnist or mnist/raw)")


def _idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file of bytes: 0, 0, 8, dimensions, big-endian 32-bit sizes, values."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"mnist: {path}: {error}") from error
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"mnist: {path} is not an IDX file of {dimensions} dimensions")
    sizes = struct.unpack(f">{dimensions}I", data[4:header])
    if len(data) - header != int(np.prod(sizes)):
        raise DataError(f"mnist: {path} holds {len(data) - header} values for sizes {sizes}")
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(sizes)
