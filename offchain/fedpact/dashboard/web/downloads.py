"""Tables as CSV and JSON files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """How a table is written."""

    CSV = "csv"
    JSON = "json"


def table_response(name: str, rows: Iterable[BaseModel], format_: Format) -> Response:
    """A file to download; nested values of a row become columns `outer.inner` in CSV."""
    found = [row.model_dump(mode="json") for row in rows]
    headers = {"content-disposition": f'attachment; filename="{name}.{format_.value}"'}
    if format_ is Format.JSON:
        body = json.dumps(found, indent=1, ensure_ascii=False)
        return Response(body, media_type="application/json", headers=headers)
    return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    flat = [dict(_flat(row)) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield prefix + name, _plain(" ".join(map(str, value)))
        else:
            yield prefix + name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
