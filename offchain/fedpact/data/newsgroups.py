"""20 Newsgroups, split by date (Lang 1995; the archive `20news-bydate` of qwone.com).

18,846 posts in 20 groups: 11,314 for training, 7,532 for testing. Posts are read as Latin-1, which
accepts any bytes. Two forms are in use: with headers (as in Text GCN, Yao et al. 2019; sender and
organisation often give the group away), and without headers, quotes and signatures.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.data.texts import TextSource, label_index, read_bytes, text_folder
from fedpact.errors import DataError

NAME = "20newsgroups"
TRAIN, TEST = "20news-bydate-train", "20news-bydate-test"
_QUOTED = re.compile(r"^[>|]|^In article|^Quoted from|writes in|writes:|wrote:|says:|said:")
_RULE = re.compile(r"^\s*-*\s*$")


def newsgroups(folder: Path | None = None, *, headers: bool = True) -> TextSource:
    """The posts, ordered by group and number.

    folder: holds `20news-bydate-train` and `20news-bydate-test`; by default
    FEDPACT_DATA/20newsgroups. headers: False drops headers, quotes and signatures.
    Raises DataError if a folder is missing or empty, or the two parts differ in their groups.
    """
    root = text_folder(NAME, folder)
    labels = _groups(root / TRAIN)
    if _groups(root / TEST) != labels:
        raise DataError(f"{NAME}: {root / TEST} and {TRAIN} must have the same groups")
    train, y_train = _part(root / TRAIN, labels, headers)
    test, y_test = _part(root / TEST, labels, headers)
    name = NAME if headers else f"{NAME}-bodies"
    return TextSource(name, train, y_train, test, y_test, labels)


def body(post: str) -> str:
    """A post without its header, lines quoted from others, and signature.

    The header ends at the first empty line. Quotes are lines that start with > or |, and those that
    introduce a quotation. The signature follows the last line that is empty or a row of dashes, if
    there is text before it. (The rules of scikit-learn's `fetch_20newsgroups(remove=...)`.)
    """
    _, _, text = post.partition("\n\n")
    kept = "\n".join(line for line in text.split("\n") if not _QUOTED.search(line))
    lines = kept.strip().split("\n")
    for number in range(len(lines) - 1, 0, -1):
        if _RULE.match(lines[number]):
            return "\n".join(lines[:number])
    return "\n".join(lines)


def _groups(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"{NAME}: no folder {folder}")
    return tuple(sorted(one.name for one in folder.iterdir() if one.is_dir()))


def _part(
    folder: Path, labels: tuple[str, ...], headers: bool
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    texts: list[str] = []
    names: list[str] = []
    for group in labels:
        for file in sorted((folder / group).iterdir(), key=lambda one: (len(one.name), one.name)):
            post = read_bytes(file).decode("latin-1")
            texts.append(post if headers else body(post))
            names.append(group)
    return tuple(texts), label_index(names, labels)
