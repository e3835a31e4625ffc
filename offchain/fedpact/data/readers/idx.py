"""IDX, the format of MNIST and Fashion-MNIST (yann.lecun.com/exdb/mnist), plain or gzipped."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.records import Records, read_bytes, refuse

IMAGES = "{}-images-idx3-ubyte"
LABELS = "{}-labels-idx1-ubyte"


def read_idx_pair(folder: Path, prefix: str) -> Records:
    """Images and labels in the files of `folder` that start with `prefix`; labels are digits."""
    x = read_idx(_file(folder, IMAGES.format(prefix)), 3)
    y = read_idx(_file(folder, LABELS.format(prefix)), 1)
    if len(x) != len(y):
        refuse(folder, f"{prefix} has {len(x)} images and {len(y)} labels")
    return Records("idx", x, tuple(map(str, y.tolist())))


def has_idx(folder: Path, prefix: str) -> bool:
    name = IMAGES.format(prefix)
    return (folder / name).is_file() or (folder / f"{name}.gz").is_file()


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """A file of bytes: 0, 0, 8, dimensions, big-endian 32-bit sizes, values."""
    data = read_bytes(path)
    try:
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        refuse(path, f"not a gzip file, or cut short ({error})", error)
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        refuse(path, f"not an IDX file of {dimensions} dimensions")
    sizes = struct.unpack(f">{dimensions}I", data[4:header])
    values = 1
    for size in sizes:  # Python integers: the sizes in a damaged file must not overflow.
        values *= size
    if len(data) - header != values:
        refuse(path, f"{len(data) - header} values for sizes {sizes}")
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(sizes)


def _file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    refuse(folder, f"it has neither {name} nor {name}.gz")
