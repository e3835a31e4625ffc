"""Tables in JSON: a list of objects, an object of columns, pandas' `split`, and JSON lines."""

import json
from pathlib import Path
from typing import Any

from fedpact.data.readers.charset import detected, text_of, unpacked
from fedpact.data.readers.records import refuse
from fedpact.data.readers.table import Table, cell_text, columnar
from fedpact.types.layout import PLAIN, FileLayout


def read_json(path: Path, layout: FileLayout | None = None) -> Table:
    """The table in a `.json` file, or in a `.jsonl` file of one object a line.

    An object without a key lacks the value. Raises DataError for anything nested, for a key that an
    object has twice, and for what is not JSON.
    """
    data = unpacked(path)
    text = detected(path, data)[0] if layout is None else text_of(path, data, layout.encoding)
    lined = path.suffix == ".jsonl"
    if lined:
        lines = [line for line in text.splitlines() if line.strip()]
        content: Any = [_parsed(path, line, f"line {n}: ") for n, line in enumerate(lines, 1)]
    else:
        content = _parsed(path, text, "")
    kind = "jsonl" if lined else "json"
    if isinstance(content, list):
        return _of_objects(path, kind, content)
    if set(content) >= {"columns", "data"}:
        rows = [dict(zip(content["columns"], row, strict=False)) for row in content["data"]]
        return _of_objects(path, kind, rows)
    return _of_columns(path, kind, content)


def _parsed(path: Path, text: str, place: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            refuse(path, f"{place}an object has {twice!r} twice")
        return found

    try:
        found = json.loads(text, object_pairs_hook=once)
    except (json.JSONDecodeError, RecursionError) as error:
        refuse(path, f"{place}not JSON, or cut short ({error})", error)
    if not isinstance(found, dict | list):
        refuse(path, f"{place}neither objects nor columns")
    return found


def _of_objects(path: Path, kind: str, rows: list[Any]) -> Table:
    names: dict[str, None] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            refuse(path, f"example {number} is not an object of named values")
        names.update(dict.fromkeys(row))
    columns = [
        [_text(path, name, number, row.get(name)) for number, row in enumerate(rows, 1)]
        for name in names
    ]
    return columnar(path, kind, list(names), columns, PLAIN)


def _of_columns(path: Path, kind: str, content: dict[str, Any]) -> Table:
    columns = []
    for name, values in content.items():
        # pandas writes {column: {index: value}}.
        found = list(values.values()) if isinstance(values, dict) else values
        if not isinstance(found, list):
            refuse(path, f"column {name!r} is not a list of values")
        columns.append([_text(path, name, number, one) for number, one in enumerate(found, 1)])
    if len(set(map(len, columns))) > 1:
        refuse(path, "its columns have different lengths")
    return columnar(path, kind, list(content), columns, PLAIN)


def _text(path: Path, name: str, example: int, value: Any) -> str:
    if isinstance(value, dict | list):
        refuse(path, f"example {example}: {name!r} is nested; write one value of a column")
    return cell_text(value)
