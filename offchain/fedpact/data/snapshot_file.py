"""A data set as it was read, in one file: what a request is trained on from joining to its end.

Arrays without pickles; texts as JSON in ASCII, which keeps every character that a file can hold.
The schema under which the records were read is in it.
"""

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fedpact.data.declared import DeclaredData
from fedpact.data.documents import documents
from fedpact.data.readers.records import Records
from fedpact.errors import DataError
from fedpact.types.layout import FileLayout
from fedpact.types.schema import DataSchema

DIGEST_BYTES = 32


def write_snapshot(path: Path, data: DeclaredData) -> None:
    """Write a data set for its owner alone; the file appears whole or not at all."""
    records = data.records
    facts = {
        "format": records.format,
        "columns": records.columns,
        "grouped_units": records.grouped_units,
        "ignored": records.ignored,
        "words": records.words,
        "layout": records.layout.model_dump(mode="json"),
        "schema": data.schema.model_dump(mode="json"),
    }
    values = _packed(list(records.x)) if records.kind == "text" else records.x
    arrays: dict[str, NDArray[Any]] = {
        "facts": _packed(facts),
        "labels": _packed(records.labels),
        "groups": _packed(records.groups),
        "rows": np.frombuffer(b"".join(records.rows), np.uint8),
        records.kind: values,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            np.savez(out, **cast("Any", arrays))
            out.flush()
            os.fsync(out.fileno())
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)


def read_snapshot(path: Path) -> DeclaredData:
    """The data set that `write_snapshot` wrote; raises DataError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            labels, groups = (json.loads(file[name].tobytes()) for name in ("labels", "groups"))
            rows = file["rows"].tobytes()
            text = "text" in file
            x = documents(json.loads(file["text"].tobytes())) if text else file["numbers"]
        schema = DataSchema.model_validate_json(json.dumps(facts["schema"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(f"snapshot {path}: {type(error).__name__}: it cannot be read") from error
    return DeclaredData(
        schema,
        Records(
            facts["format"],
            x,
            tuple(labels),
            tuple(facts["columns"]),
            tuple(groups),
            facts["grouped_units"],
            tuple(rows[at : at + DIGEST_BYTES] for at in range(0, len(rows), DIGEST_BYTES)),
            tuple(facts["ignored"]),
            tuple((name, tuple(values)) for name, values in facts["words"]),
            FileLayout.model_validate(facts["layout"]),
        ),
    )


def _packed(value: dict[str, Any] | Sequence[Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode("ascii"), np.uint8)
