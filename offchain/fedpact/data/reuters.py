"""Reuters-21578 (Lewis 1997), read from its SGML files.

21,578 stories, and two collections of them. ModApte: the split by LEWISSPLIT among stories with
TOPICS="YES". R8: of those, the stories whose only topic is one of the eight most frequent such
topics (Cardoso-Cachopo 2007). One byte of the archive is not UTF-8 (0xFC in reut2-017.sgm), so the
files are read as Latin-1. Lu et al.'s "15,732 files in 116 categories" is not a standard split and
cannot be reproduced from the archive.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Literal

from fedpact.data.texts import TextSource, label_index, read_bytes, text_folder
from fedpact.errors import DataError

NAME = "reuters21578"
R8 = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")

_STORY = re.compile(r"<REUTERS\b([^>]*)>(.*?)</REUTERS>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([A-Z]+)="([^"]*)"')
_TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>", re.DOTALL)
_ITEM = re.compile(r"<D>(.*?)</D>", re.DOTALL)
_TEXT = re.compile(r"<TEXT\b[^>]*>(.*?)</TEXT>", re.DOTALL)
_PART = re.compile(r"<(TITLE|BODY)>(.*?)</\1>", re.DOTALL)
_TAG = re.compile(r"</?[A-Z]+\b[^>]*>")


@dataclass(frozen=True)
class Story:
    """One story of the archive."""

    number: int
    """NEWID, 1 to 21,578."""
    split: Literal["train", "test", "unused"]
    """The part that it belongs to in ModApte."""
    topics: tuple[str, ...]
    text: str
    """Title and body; the whole TEXT if it has neither (TYPE="UNPROC")."""


def stories(folder: Path | None = None) -> Iterator[Story]:
    """All stories of `reut2-*.sgm` in `folder`, by default FEDPACT_DATA/reuters21578.

    Raises DataError if there is no such file, or one that holds no story or a broken one.
    """
    root = text_folder(NAME, folder)
    files = sorted(root.glob("reut2-*.sgm"))
    if not files:
        raise DataError(f"{NAME}: no reut2-*.sgm in {root}")
    for file in files:
        yield from parse(read_bytes(file).decode("latin-1"), str(file))


def parse(content: str, where: str) -> Iterator[Story]:
    """The stories of one SGML file; `where` names it in errors (DataError)."""
    opened = content.count("<REUTERS ")
    found = 0
    for match in _STORY.finditer(content):
        found += 1
        yield _story(dict(_ATTRIBUTE.findall(match[1])), match[2], where)
    if found == 0 or found != opened:
        raise DataError(f"{NAME}: {where}: only {found} of {opened} stories can be read")


def r8(folder: Path | None = None) -> TextSource:
    """R8 by ModApte: 5,485 training and 2,189 test stories; raises as `stories`."""
    chosen = [one for one in stories(folder) if len(one.topics) == 1 and one.topics[0] in R8]
    train = [one for one in chosen if one.split == "train"]
    test = [one for one in chosen if one.split == "test"]
    return TextSource(
        "r8",
        tuple(one.text for one in train),
        label_index([one.topics[0] for one in train], R8),
        tuple(one.text for one in test),
        label_index([one.topics[0] for one in test], R8),
        R8,
    )


def _story(attributes: dict[str, str], content: str, where: str) -> Story:
    number = attributes.get("NEWID", "")
    if not number.isdigit():
        raise DataError(f"{NAME}: {where}: a story without a number (NEWID {number!r})")
    listed = _TOPICS.search(content)
    text = _TEXT.search(content)
    if listed is None or text is None:
        raise DataError(f"{NAME}: {where}: story {number} has no TOPICS or no TEXT")
    parts = [part for _, part in _PART.findall(text[1])] or [_TAG.sub(" ", text[1])]
    return Story(
        int(number),
        _split(attributes),
        tuple(_ITEM.findall(listed[1])),
        "\n".join(unescape(part) for part in parts),
    )


def _split(attributes: dict[str, str]) -> Literal["train", "test", "unused"]:
    """ModApte, as the archive's README defines it."""
    if attributes.get("TOPICS") != "YES":
        return "unused"
    split = attributes.get("LEWISSPLIT")
    return "train" if split == "TRAIN" else "test" if split == "TEST" else "unused"
