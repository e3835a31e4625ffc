"""Documents as examples: how they are read, and the two arrays that store a collection.

A document is a `str`. Files are UTF-8, or UTF-16 with a byte-order mark; any other file is read as
Latin-1, in which every byte is a character, so that none is refused or lost (20 Newsgroups needs
this). Documents are packed end to end into one array of UTF-8 bytes and one of end positions: no
pickles, and equal documents give equal bytes.
"""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs
from fedpact.errors import DataError

MAX_BYTES = 16 * 2**20
"""Largest size of a document."""
TEXT, ENDS = "text", "ends"
"""Names of the two arrays."""


def documents(texts: Sequence[str]) -> Inputs:
    """The texts as examples, shape (n,)."""
    found = np.empty(len(texts), dtype=object)
    found[:] = texts
    return found


def are_documents(x: Inputs) -> bool:
    """Whether examples are documents rather than numbers."""
    return x.dtype == np.dtype(object)


def decoded(data: bytes) -> str:
    """A file's text; raises DataError for more than MAX_BYTES."""
    if len(data) > MAX_BYTES:
        raise DataError(f"a document of {len(data)} bytes: at most {MAX_BYTES}")
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("latin-1")


def pack(x: Inputs) -> dict[str, NDArray[Any]]:
    """`text` uint8, all documents' UTF-8 end to end, and `ends` int64 (n,)."""
    parts = [str(one).encode("utf-8", "surrogatepass") for one in x]
    return {
        TEXT: np.frombuffer(b"".join(parts), dtype=np.uint8),
        ENDS: np.cumsum([len(part) for part in parts], dtype=np.int64),
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> Inputs:
    """The inverse of `pack`; raises DataError for anything else."""
    try:
        text, ends = arrays[TEXT], arrays[ENDS]
    except KeyError as error:
        raise DataError(f"documents: no array {error}") from error
    if text.dtype != np.uint8 or text.ndim != 1 or ends.dtype != np.int64 or ends.ndim != 1:
        raise DataError(
            f"documents: text is {text.dtype} {text.shape}, ends {ends.dtype} {ends.shape}"
        )
    limits = np.concatenate(([0], ends))
    sizes = np.diff(limits)
    if (sizes < 0).any() or limits[-1] != len(text):
        raise DataError("documents: ends do not increase to the length of the text")
    if len(sizes) and sizes.max() > MAX_BYTES:
        raise DataError(f"a document of {sizes.max()} bytes: at most {MAX_BYTES}")
    whole = text.tobytes()
    try:
        return documents(
            [
                whole[limits[row] : limits[row + 1]].decode("utf-8", "surrogatepass")
                for row in range(len(ends))
            ]
        )
    except UnicodeDecodeError as error:
        raise DataError(f"documents: {error}") from error
