"""The Python batches of CIFAR-10 (Krizhevsky 2009): pickles, read without calling what they name.

A pickle can name and call any function of any module. Batches consist of one array of bytes and
lists, so nothing else is looked up (Python's documentation, pickle, "Restricting Globals").
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.records import Records, read_bytes, refuse

SHAPE = (3, 32, 32)
"""Channels red, green, blue; rows; columns."""
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
META = "batches.meta"


class _Recorded:
    """Records what a pickle asks for, instead of NumPy's own constructors, which trust the state
    that they are given."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def bytes_array(self) -> NDArray[np.uint8]:
        """The recorded array of bytes; raises ValueError if it is anything else."""
        _, shape, dtype, fortran, raw = self.state
        if dtype.arguments[0] not in (b"u1", "u1"):
            raise ValueError(f"values of type {dtype.arguments[0]!r}, not bytes")
        values = np.frombuffer(raw, dtype=np.uint8)
        return values.reshape(shape, order="F" if fortran else "C")


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in the older pickle protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes a text in {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Recorded,
    ("numpy._core.multiarray", "_reconstruct"): _Recorded,
    ("numpy", "ndarray"): _Recorded,
    ("numpy", "dtype"): _Recorded,
    ("_codecs", "encode"): _latin1,
}
DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, MemoryError, OverflowError, LookupError, RecursionError),
)
"""What loading a damaged pickle raises."""


class _BytesOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which a batch never needs"
            ) from None


def read_cifar(folder: Path, batches: tuple[str, ...]) -> Records:
    """The named batches of `folder`, concatenated; label names come from its meta file."""
    names = label_names(folder)
    images: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    for batch in batches:
        x, y = _batch(folder / batch, len(names))
        images.append(x)
        labels.extend(names[label] for label in y)
    return Records("cifar", np.concatenate(images), tuple(labels))


def label_names(folder: Path) -> tuple[str, ...]:
    """Names of the classes, in the order of their numbers."""
    path = folder / META
    names = _load(path).get(b"label_names")
    if not isinstance(names, list) or not names:
        refuse(path, "it has no label_names")
    try:
        return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
    except UnicodeDecodeError as error:
        refuse(path, f"label_names: {error}", error)


def _batch(path: Path, labels: int) -> tuple[NDArray[np.uint8], list[int]]:
    content = _load(path)
    y = content.get(b"labels")
    size = int(np.prod(SHAPE))
    try:
        x = content[b"data"].bytes_array()
    except DAMAGE as error:
        refuse(path, f"it has no array of bytes ({error})", error)
    if x.shape[1:] != (size,):
        refuse(path, f"data of shape {x.shape}, not rows of {size} bytes")
    if not isinstance(y, list) or len(y) != len(x):
        refuse(path, f"not one label for each of its {len(x)} images")
    for number, label in enumerate(y, start=1):
        if not isinstance(label, int) or not 0 <= label < labels:
            refuse(path, f"example {number} has label {label!r}, not one from 0 to {labels - 1}")
    return x.reshape(-1, *SHAPE), y


def _load(path: Path) -> dict[bytes, Any]:
    data = read_bytes(path)
    try:
        content = _BytesOnly(io.BytesIO(data), encoding="bytes").load()
    except DAMAGE as error:
        refuse(path, f"not a CIFAR batch, or cut short ({error})", error)
    if not isinstance(content, dict):
        refuse(path, "not a CIFAR batch")
    return {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}
