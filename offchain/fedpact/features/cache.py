"""Features of images in 16 bits; those of a data set are computed once and kept on disk."""

import os
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError
from fedpact.features import scattering

VERSION = "scattering-1"
"""Part of each file's key; changes whenever the transform's values do."""
BATCH = 32
"""Examples transformed at once."""


def scattering_features(
    images: NDArray[np.float32],
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float16]:
    """`scattering.features` of `images`, (n, d), read-only and mapped from a file in `folder`.

    The file's name is a digest of the transform and the images; an existing file is reused.
    Rounding to 16 bits is part of the feature map: clipping applies to the rounded values.

    Args:
        on_progress: called with (examples done, examples) after each batch.

    Raises:
        DataError: images of a wrong shape or not finite, or a folder that cannot be written.
    """
    images = np.ascontiguousarray(images, dtype=np.float32)
    shape = (len(images), scattering.width(images.shape[1:]))
    path = folder / f"{_key(images)}.npy"
    try:
        if not _complete(path, shape):
            _compute(images, shape, path, on_progress)
        return np.asarray(np.load(path, mmap_mode="r"))
    except OSError as error:
        raise DataError(f"features {path}: {error.strerror or error}") from error


def rounded_features(images: NDArray[np.float32]) -> NDArray[np.float16]:
    """The same without a file, for a few images. Raises DataError for what `features` refuses."""
    size = scattering.width(images.shape[1:])
    batches = [_batch(images, start) for start in range(0, len(images), BATCH)]
    return np.concatenate(batches) if batches else np.empty((0, size), np.float16)


def _batch(images: NDArray[np.float32], start: int) -> NDArray[np.float16]:
    """Always BATCH images at once, the missing ones of zeros: a matrix product of another width may
    round otherwise, and an image's features must not depend on how many stand beside it."""
    part = images[start : start + BATCH]
    filled = np.zeros((BATCH, *images.shape[1:]), np.float32)
    filled[: len(part)] = part
    with np.errstate(over="ignore"):
        return scattering.features(filled)[: len(part)].astype("<f2")


def _key(images: NDArray[np.float32]) -> str:
    digest = sha256(f"{VERSION}:{images.shape}:".encode())
    digest.update(images.data)
    return digest.hexdigest()[:32]


def _complete(path: Path, shape: tuple[int, int]) -> bool:
    if not path.is_file():
        return False
    try:
        found = np.load(path, mmap_mode="r")
    except (ValueError, EOFError):
        return False
    return bool(found.shape == shape and found.dtype == np.float16)


def _compute(
    images: NDArray[np.float32],
    shape: tuple[int, int],
    path: Path,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Batch by batch into a temporary file, renamed once complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
            for start in range(0, len(images), BATCH):
                file.write(_batch(images, start).tobytes())
                if on_progress is not None:
                    on_progress(min(start + BATCH, len(images)), len(images))
            file.close()
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
