"""Features in 16 bits; those of an example are computed once and kept on disk."""

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
"""Log lines, the same ones however many examples there are and were known before: which ones can be
used depends on the records."""
Progress = Callable[[int, int], None]
"""Called with (examples done, examples) after each batch."""
Rows = Callable[[NDArray[np.int64]], NDArray[np.float16]]
"""From the indices of at most BATCH examples to their rows."""
_VALUE_BYTES = 2
_DIGEST_BYTES = 32


def scattering_features(
    images: NDArray[np.float32], folder: Path, *, on_progress: Progress | None = None
) -> NDArray[np.float16]:
    """`scattering.features` of `images`, (n, d), kept as by `kept_rows`.

    Rounding to 16 bits is part of the feature map: clipping applies to the rounded values.

    Raises:
        DataError: images of a wrong shape or not finite, or a folder that cannot be written.
    """
    images = np.ascontiguousarray(images, dtype=np.float32)
    width = scattering.width(images.shape[1:])
    digests = array_digests(images)
    return kept_rows(
        VERSION, digests, width, lambda at: _batch(images, at), folder, on_progress=on_progress
    )


def rounded_features(images: NDArray[np.float32]) -> NDArray[np.float16]:
    """The same without a file, for a few images. Raises DataError for what `features` refuses."""
    size = scattering.width(images.shape[1:])
    return in_batches(lambda at: _batch(images, at), len(images), size)


def in_batches(rows: Rows, examples: int, width: int) -> NDArray[np.float16]:
    """All rows, (examples, width)."""
    every = np.arange(examples)
    batches = [rows(every[start : start + BATCH]) for start in range(0, examples, BATCH)]
    return np.concatenate(batches) if batches else np.empty((0, width), np.float16)


def array_digests(examples: NDArray[np.float32]) -> list[bytes]:
    """By which the rows of these examples are found again."""
    shape = sha256(f"{examples.shape[1:]}:".encode())
    found = []
    for one in examples:
        digest = shape.copy()
        digest.update(np.ascontiguousarray(one).data)
        found.append(digest.digest())
    return found


def text_digests(texts: Sequence[str]) -> list[bytes]:
    """The same for texts."""
    return [sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]


def kept_rows(
    version: str,
    examples: Sequence[bytes],
    width: int,
    rows: Rows,
    folder: Path,
    *,
    on_progress: Progress | None = None,
) -> NDArray[np.float16]:
    """Rows of `width` values, one for each example, read-only and mapped from a file in `folder`.

    An existing file is reused. Rows that other files have are copied from there: otherwise one
    example more would take as long as all others together, and whoever times a training would see
    it. A computation that is interrupted goes on where it stopped, and two processes share one.

    Args:
        version: names how rows are computed.
        examples: a digest of each example, on which its row depends.

    Raises DataError for a folder that cannot be written, and what `rows` raises.
    """
    if not examples:
        _say(0, 1, 1)
        return np.empty((0, width), np.float16)
    head = sha256(version.encode()).digest()
    stored = head + b"".join(examples)
    key, shape = sha256(stored).hexdigest()[:32], (len(examples), width)
    path, begun = folder / f"{key}.npy", folder / f"{key}.part"
    try:
        if _complete(path, shape):
            _say(0, len(examples), len(examples))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(begun) as file:
                if not _complete(path, shape):  # another process may have been faster
                    known = _known(folder, head, examples, width)
                    _compute(file, shape, rows, on_progress, [known.get(one) for one in examples])
                    path.with_suffix(".ids").write_bytes(stored)
                    os.replace(begun, path)
        return np.asarray(np.load(path, mmap_mode="r"))
    except OSError as error:
        raise DataError(f"features {path}: {error.strerror or error}") from error


def _known(
    folder: Path, head: bytes, examples: Sequence[bytes], width: int
) -> dict[bytes, NDArray[np.float16]]:
    """Rows of these examples in files that were computed alike."""
    wanted, found = set(examples), dict[bytes, NDArray[np.float16]]()
    for path in folder.glob("*.ids"):
        stored, size = path.read_bytes(), len(head)
        whole = path.with_suffix(".npy")
        count = len(stored) // _DIGEST_BYTES - 1
        if stored[:size] != head or not _complete(whole, (count, width)):
            continue
        values = np.load(whole, mmap_mode="r")
        for row in range(count):
            one = stored[size + row * _DIGEST_BYTES : size + (row + 1) * _DIGEST_BYTES]
            if one in wanted:
                found[one] = values[row]
        if len(found) == len(wanted):
            break
    return found


def _batch(images: NDArray[np.float32], at: NDArray[np.int64]) -> NDArray[np.float16]:
    """Always BATCH images at once, the missing ones of zeros: a matrix product of another width may
    round otherwise, and an image's features must not depend on how many stand beside it."""
    part = images[at]
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
    rows: Rows,
    on_progress: Progress | None,
    known: Sequence[NDArray[np.float16] | None],
) -> None:
    """Append what is missing. What was computed is on disk before the next batch begins."""
    examples, width = shape
    begin = _header(file, shape)
    batch_bytes = BATCH * width * _VALUE_BYTES
    batches = (file.seek(0, os.SEEK_END) - begin) // batch_bytes
    file.seek(begin + batches * batch_bytes)
    file.truncate()
    _say(0, batches * BATCH, examples)
    for start in range(batches * BATCH, examples, BATCH):
        done = min(start + BATCH, examples)
        part = np.empty((done - start, width), "<f2")
        for place, row in enumerate(known[start:done]):
            part[place] = 0 if row is None else row
        new = [place for place, row in enumerate(known[start:done]) if row is None]
        if new:
            part[new] = rows(start + np.array(new))
        file.write(part.tobytes())
        if new:
            file.flush()
            os.fsync(file.fileno())
        _say(start, done, examples)
        if on_progress is not None:
            on_progress(done, examples)
    file.flush()
    os.fsync(file.fileno())


def _say(before: int, done: int, examples: int) -> None:
    for part in range(before * PROGRESS // examples, done * PROGRESS // examples):
        log.info("features: %d %%", 100 * (part + 1) // PROGRESS)


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
