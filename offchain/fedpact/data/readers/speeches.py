"""Plays as plain text: speeches by role, and windows of characters with the one that follows.

A speech is a line `NAME:` and the lines up to the next empty line. All speeches of a name, joined
by newlines, are the text of one role, as in McMahan et al. 2017 (section 3); a role is one privacy
unit.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.records import Records, read_bytes, refuse

ALPHABET = "\n" + "".join(chr(code) for code in range(32, 127))
"""Newline and the printable ASCII characters: fixed, so that it reveals nothing about a text."""
LABELS = tuple({"\n": "newline", " ": "space"}.get(one, one) for one in ALPHABET)
"""Names of the characters as labels; a character's code in x is its index here."""
WINDOW = 80
"""Characters of one example, as in LEAF (Caldas et al. 2018)."""
STRIDE = 8
"""Characters from one window's start to the next; LEAF has 1, eight times the examples."""

_SPEAKER = re.compile(r"(?P<name>[^\s:][^:]*):")
_CODES = np.full(128, 255, dtype=np.uint8)
_CODES[[ord(one) for one in ALPHABET]] = np.arange(len(ALPHABET), dtype=np.uint8)


def read_speeches(path: Path, window: int = WINDOW, stride: int = STRIDE) -> Records:
    """All windows of all roles in a text; x are codes (n, window)."""
    return windows(path, read_roles(path), window, stride)


def read_roles(path: Path) -> dict[str, str]:
    """Each role's text, in the order of their first words."""
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(path, f"not text in UTF-8 ({error})", error)
    speeches: dict[str, list[str]] = {}
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        first, _, rest = block.strip("\n").partition("\n")
        speaker = _SPEAKER.fullmatch(first.rstrip())
        if speaker is not None and rest.strip():
            speeches.setdefault(speaker["name"], []).append(rest)
    if not speeches:
        refuse(path, "it has no line NAME: followed by a speech")
    return {name: "\n".join(said) for name, said in speeches.items()}


def windows(path: Path, roles: dict[str, str], window: int, stride: int) -> Records:
    """Windows of `window` characters every `stride`, labelled with the character that follows.

    Roles with no more than `window` characters have none. Raises DataError if there is no window.
    """
    if window < 1 or stride < 1:
        refuse(path, f"windows of {window} characters every {stride}: both must be at least 1")
    pieces: list[NDArray[np.uint8]] = []
    following: list[NDArray[np.uint8]] = []
    groups: list[str] = []
    for name, text in roles.items():
        codes = encode(path, text, f"role {name}")
        if len(codes) <= window:
            continue
        cut = np.lib.stride_tricks.sliding_window_view(codes, window + 1)[::stride]
        pieces.append(cut[:, :window])
        following.append(cut[:, window])
        groups.extend([name] * len(cut))
    if not pieces:
        refuse(path, f"no role has more than {window} characters")
    labels = tuple(LABELS[code] for code in np.concatenate(following).tolist())
    return Records("text", np.concatenate(pieces), labels, groups=tuple(groups), grouped_units=True)


def encode(path: Path, text: str, where: str) -> NDArray[np.uint8]:
    """Codes of the characters; raises DataError with `where` and the first not in ALPHABET."""
    points: NDArray[Any] = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    codes = np.where(points < 128, _CODES[np.minimum(points, 127)], np.uint8(255))
    strange = np.flatnonzero(codes == 255)
    if len(strange):
        at = int(strange[0])
        refuse(path, f"{where}: character {at + 1} is {text[at]!r}, not in the alphabet")
    return codes.astype(np.uint8)
