"""Features in 16 bits; those of a data set are computed once and kept on disk."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError
from fedpact.features import scattering

log = logging.getLogger(__name__)

VERSION = "scattering-1"
"""Part of each file's key; changes whenever the transform's values do."""
BATCH = 32
"""Examples transformed at once."""
PROGRESS = 10
"""Log lines of one computation, the same ones however many examples there are: how many can be
used depends on the records."""
Progress = Callable[[int, int], None]
"""Called with (examples done, examples) after each batch."""
_VALUE_BYTES = 2


def scattering_features(
    images: NDArray[np.float32], folder: Path, *, on_progress: Progress | None = None
) -> NDArray[np.float16]:
    """`scattering.features` of `images`, (n, d), kept as by `kept_rows`.

    Rounding to 16 bits is part of the feature map: clipping applies to the rounded values.

    Raises:
        DataError: images of a wrong shape or not finite, or a folder that cannot be written.
    """
    images = np.ascontiguousarray(images, dtype=np.float32)
    shape = (len(images), scattering.width(images.shape[1:]))
    key = array_key(VERSION, images)
    return kept_rows(key, shape, lambda at: _batch(images, at), folder, on_progress=on_progress)


def rounded_features(images: NDArray[np.float32]) -> NDArray[np.float16]:
    """The same without a file, for a few images. Raises DataError for what `features` refuses."""
    size = scattering.width(images.shape[1:])
    batches = [_batch(images, start) for start in range(0, len(images), BATCH)]
    return np.concatenate(batches) if batches else np.empty((0, size), np.float16)


def array_key(version: str, examples: NDArray[np.float32]) -> str:
    """The name of the file of these examples' features, computed by what `version` names."""
    digest = sha256(f"{version}:{examples.shape}:".encode())
    digest.update(np.ascontiguousarray(examples).data)
    return digest.hexdigest()[:32]


def text_key(version: str, texts: Sequence[str]) -> str:
    """The same for texts."""
    digest = sha256(f"{version}:{len(texts)}:".encode())
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()[:32]


def kept_rows(
    key: str,
    shape: tuple[int, int],
    rows: Callable[[int], NDArray[np.float16]],
    folder: Path,
    *,
    on_progress: Progress | None = None,
) -> NDArray[np.float16]:
    """Rows of shape `shape`, read-only and mapped from the file `key` in `folder`.

    An existing file is reused. A computation that is interrupted goes on where it stopped, and two
    processes share one.

    Args:
        key: a digest of all that the rows depend on.
        rows: from an index, gives BATCH rows, or as many as are left.

    Raises DataError for a folder that cannot be written, and what `rows` raises.
    """
    path, begun = folder / f"{key}.npy", folder / f"{key}.part"
    try:
        if not _complete(path, shape):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(begun) as file:
                if not _complete(path, shape):  # another process may have been faster
                    _compute(file, shape, rows, on_progress)
                    os.replace(begun, path)
        return np.asarray(np.load(path, mmap_mode="r"))
    except OSError as error:
        raise DataError(f"features {path}: {error.strerror or error}") from error


def _batch(images: NDArray[np.float32], start: int) -> NDArray[np.float16]:
    """Always BATCH images at once, the missing ones of zeros: a matrix product of another width may
    round otherwise, and an image's features must not depend on how many stand beside it."""
    part = images[start : start + BATCH]
    filled = np.zeros((BATCH, *images.shape[1:]), np.float32)
    filled[: len(part)] = part
    with np.errstate(over="ignore"):
        return scattering.features(filled)[: len(part)].astype("<f2")


def _complete(path: Path, shape: tuple[int, int]) -> bool:
    if not path.is_file():
        return False
    try:
        found = np.load(path, mmap_mode="r")
    except (ValueError, EOFError):
        return False
    return bool(found.shape == shape and found.dtype == np.float16)


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file that a computation fills, for this process alone."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _compute(
    file: BinaryIO,
    shape: tuple[int, int],
    rows: Callable[[int], NDArray[np.float16]],
    on_progress: Progress | None,
) -> None:
    """Append what is missing, each batch on disk before the next begins."""
    examples, width = shape
    begin = _header(file, shape)
    batch_bytes = BATCH * width * _VALUE_BYTES
    batches = (file.seek(0, os.SEEK_END) - begin) // batch_bytes
    file.seek(begin + batches * batch_bytes)
    file.truncate()
    for start in range(batches * BATCH, examples, BATCH):
        file.write(rows(start).astype("<f2", copy=False).tobytes())
        file.flush()
        os.fsync(file.fileno())
        done = min(start + BATCH, examples)
        for part in range(start * PROGRESS // examples, done * PROGRESS // examples):
            log.info("features: %d %%", 100 * (part + 1) // PROGRESS)
        if on_progress is not None:
            on_progress(done, examples)


def _header(file: BinaryIO, shape: tuple[int, int]) -> int:
    """Where the rows begin; a file without its whole header starts over."""
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    try:
        file.seek(0)
        np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        if np.lib.format.read_array_header_1_0(file)[0] == shape:  # type: ignore[no-untyped-call]
            return file.tell()
    except ValueError:
        pass
    file.seek(0)
    file.truncate()
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
    return file.tell()
