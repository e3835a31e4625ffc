"""Labelled texts, and their digests for the privacy ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import document_digest
from fedpact.data.folders import data_root
from fedpact.errors import DataError, DataMissing


@dataclass(frozen=True)
class TextSource:
    """A collection of texts in two parts; each example is one document (privacy unit)."""

    name: str
    train: tuple[str, ...]
    y_train: NDArray[np.int64]
    """Shape (len(train),): index into `labels`."""
    test: tuple[str, ...]
    y_test: NDArray[np.int64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        for part, texts, y in (
            ("train", self.train, self.y_train),
            ("test", self.test, self.y_test),
        ):
            if len(texts) != len(y):
                raise DataError(f"{self.name}: {len(texts)} {part} texts and {len(y)} labels")
            if not texts:
                raise DataError(f"{self.name}: no {part} texts")

    @property
    def units(self) -> tuple[bytes, ...]:
        """32-byte digest of each training document."""
        names = [self.labels[label] for label in self.y_train]
        return tuple(map(document_digest, self.train, names))


def text_folder(name: str, folder: Path | None) -> Path:
    """The folder of the collection `name`: `folder`, else FEDPACT_DATA/name.

    Raises DataMissing if it does not exist.
    """
    folder = folder or data_root(name) / name
    if not folder.is_dir():
        raise DataMissing(f"{name}: no folder {folder.name} in {folder.parent}")
    return folder


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; raises DataError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def label_index(names: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """Index of each name in `labels`, which must contain all."""
    index = {label: number for number, label in enumerate(labels)}
    return np.array([index[name] for name in names], dtype=np.int64)
