"""LEAF's JSON (Caldas et al. 2018): FEMNIST's images by writer, Shakespeare's text by role.

A file is `{"users": [...], "num_samples": [...], "user_data": {user: {"x": [...], "y": [...]}}}`.
Images are lists of numbers with a class number, texts are strings with the character that follows.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers import speeches
from fedpact.data.readers.records import Records, label_name, read_bytes, refuse


def read_leaf(paths: Sequence[Path]) -> Records:
    """The users of all files, one group each.

    A text's user is one privacy unit; each image is its own.
    """
    parts: list[NDArray[Any]] = []
    labels: list[str] = []
    groups: list[str] = []
    texts = False
    for path in paths:
        for user, data in _users(path):
            texts = isinstance(data["x"][0], str) if data["x"] else texts
            x, y = (_texts if texts else _images)(path, user, data["x"], data["y"])
            if parts and len(x) and x.shape[1:] != parts[0].shape[1:]:
                refuse(path, f"user {user}: shape {x.shape[1:]} differs from other users' examples")
            if len(x):
                parts.append(x)
                labels.extend(y)
                groups.extend([user] * len(x))
    if not parts:
        refuse(paths[0], "no examples")
    x = np.concatenate(parts)
    return Records("leaf", x, tuple(labels), groups=tuple(groups), grouped_units=texts)


def is_leaf(path: Path) -> bool:
    """Whether a JSON file is LEAF's rather than a table."""
    data = read_bytes(path)
    return b'"users"' in data or b'"user_data"' in data


def _users(path: Path) -> list[tuple[str, dict[str, list[Any]]]]:
    try:
        content = json.loads(read_bytes(path))
        users, counts, found = content["users"], content["num_samples"], content["user_data"]
        listed = [(str(user), found[user]["x"], found[user]["y"]) for user in users]
    except json.JSONDecodeError as error:
        refuse(path, f"not JSON, or cut short ({error})", error)
    except (UnicodeDecodeError, KeyError, TypeError) as error:
        refuse(path, f"not a LEAF file: it needs users, num_samples, user_data ({error})", error)
    if not isinstance(counts, list) or len(counts) != len(listed):
        refuse(path, f"{len(listed)} users, but num_samples has another number of entries")
    for (user, x, y), count in zip(listed, counts, strict=True):
        if not isinstance(x, list) or not isinstance(y, list) or not len(x) == len(y) == count:
            refuse(path, f"user {user}: x and y must have {count} examples each")
    return [(user, {"x": x, "y": y}) for user, x, y in listed]


def _images(
    path: Path, user: str, x: list[Any], y: list[Any]
) -> tuple[NDArray[np.float32], list[str]]:
    try:
        values = np.array(x, dtype=np.float32)
    except (ValueError, TypeError) as error:
        refuse(path, f"user {user}: ragged, or not numbers ({error})", error)
    if len(x) and values.ndim < 2:
        refuse(path, f"user {user}: an example must be a list of numbers")
    return values, [label_name(value) for value in y]


def _texts(
    path: Path, user: str, x: list[Any], y: list[Any]
) -> tuple[NDArray[np.uint8], list[str]]:
    codes = []
    for number, (text, following) in enumerate(zip(x, y, strict=True), start=1):
        where = f"user {user}, example {number}"
        if not isinstance(text, str) or not isinstance(following, str) or len(following) != 1:
            refuse(path, f"{where}: it needs a text and one character after it")
        codes.append(speeches.encode(path, text + following, where))
        if len(codes[-1]) != len(codes[0]):
            refuse(path, f"{where}: {len(text)} characters, but the first has {len(x[0])}")
    both = np.stack(codes)
    return both[:, :-1], [speeches.LABELS[code] for code in both[:, -1].tolist()]
