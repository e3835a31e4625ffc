"""Folders of texts, as in 20 Newsgroups: a folder for each label, a file for each document."""

from pathlib import Path

from fedpact.data.dataset import document_digest
from fedpact.data.documents import decoded, documents
from fedpact.data.readers.records import Records, read_bytes, refuse
from fedpact.errors import DataError


def has_texts(path: Path) -> bool:
    """Whether `path` has a folder with a file in it."""
    return any(_files(folder) for folder in _folders(path))


_BINARY = (
    *(b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"RIFF", b"GIF8", b"\x89PNG", b"\xff\xd8\xff"),
    *(
        b"II*\x00",
        b"MM\x00*",
        b"ID3",
        b"OggS",
        b"fLaC",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
        b"\x89HDF",
    ),
)
"""How files begin that are no texts: documents of offices, images, sounds, packed files."""


def read_texts(path: Path) -> Records:
    """Documents ordered by label and file name; hidden files and folders are skipped.

    Raises DataError for a file that cannot be read, or is too large for a document.
    """
    texts: list[str] = []
    labels: list[str] = []
    for folder in _folders(path):
        for file in _files(folder):
            data = read_bytes(file)
            if data.startswith(_BINARY):
                refuse(file, "not a plain text: convert it, or move it out of the folder")
            try:
                texts.append(decoded(data))
            except DataError as error:
                refuse(file, str(error), error)
            labels.append(folder.name)
    return text_records("texts", texts, labels)


def text_records(kind: str, texts: list[str], labels: list[str]) -> Records:
    """Each document with its label is a privacy unit, in any format."""
    return Records(
        kind,
        documents(texts),
        tuple(labels),
        rows=tuple(map(document_digest, texts, labels)),
    )


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
