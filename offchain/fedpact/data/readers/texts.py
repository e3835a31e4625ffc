"""Folders of texts: a folder a label, in it a file a document, as 20 Newsgroups comes."""

from pathlib import Path

from fedpact.data.dataset import document_digest
from fedpact.data.documents import decoded, documents
from fedpact.data.readers.records import Records, read_bytes, refuse
from fedpact.errors import DataError


def has_texts(path: Path) -> bool:
    """Whether there is a folder with a file in it."""
    return any(_files(folder) for folder in _folders(path))


def read_texts(path: Path) -> Records:
    """Documents by label and name of file; hidden files and folders are passed over.

    Raises DataError for a file that cannot be read, or is larger than a document may be.
    """
    texts: list[str] = []
    labels: list[str] = []
    for folder in _folders(path):
        for file in _files(folder):
            try:
                texts.append(decoded(read_bytes(file)))
            except DataError as error:
                refuse(file, str(error), error)
            labels.append(folder.name)
    return text_records("texts", texts, labels)


def text_records(kind: str, texts: list[str], labels: list[str]) -> Records:
    """Each document with its label is a unit of privacy, in whatever format it lies."""
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
