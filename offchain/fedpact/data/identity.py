"""How the privacy ledger knows units: by what their owner declares, not by how a file stores it.

A digest is over the unit's name where the schema names one, else over the record's declared
columns, by name, and its label. Values have one normal form, so that neither another file format, a
further column, a renamed header, a precision of 32 or 64 bits nor a Unicode form makes a new record
of an old one (docs/adr/0034). Values that are equal in 32 bits are equal.
"""

import re
import unicodedata
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.records import CHUNK, Records
from fedpact.types.schema import DataSchema

SKETCH = 64
"""Digests of a sketch."""
_WHOLE = re.compile(r"[+-]?\d{1,4000}(\.0*)?")
"""With more digits Python reads no number, and it is a text."""


def normal_text(text: str) -> str:
    """Unicode NFKC, line ends as \\n, without a byte-order mark and white space at the ends."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFKC", plain).strip()


def normal_name(name: str) -> str:
    """Of a unit: whole numbers have one form, as do texts."""
    text = normal_text(name)
    return str(int(text.partition(".")[0])) if _WHOLE.fullmatch(text) else text


def normal_label(label: str) -> str:
    """Of a label, or of a regression's value in 32 bits."""
    text = normal_text(label)
    try:
        with np.errstate(over="ignore"):
            return repr(float(np.float32(float(text)) + np.float32(0.0)))
    except ValueError:
        return text


def unit_digests(schema: DataSchema, records: Records) -> tuple[bytes, ...]:
    """32-byte digest of each example's unit. `records` as `DeclaredData.read` takes them."""
    if records.grouped_units:
        digests = {name: _digest(b"unit", normal_name(name)) for name in set(records.groups)}
        return tuple(digests[name] for name in records.groups)
    labels = {name: normal_label(name) for name in set(records.labels)}
    if records.kind == "text":
        return tuple(
            _digest(b"text", labels[label], normal_text(text))
            for text, label in zip(records.x, records.labels, strict=True)
        )
    names = [normal_text(column.name) for column in schema.inputs]
    spelt = dict(records.words)
    # A category's code is its index into values that its owner may reorder: its words count.
    order = np.array(
        [place for place in np.argsort(names) if schema.inputs[place].name not in spelt], dtype=int
    )
    head = sha256(b"record\x1f" + "\x1f".join(sorted(names)).encode())
    texts = {column.name for column in schema.inputs if column.type == "text"}
    words = [
        list(map(normal_text if name in texts else normal_name, spelt[name]))
        for name in sorted(spelt)
    ]
    found = []
    for start in range(0, len(records.x), CHUNK):
        part = _flat(records.x[start : start + CHUNK])
        values = _single(part[:, order] if names else part)
        labelled = zip(values, records.labels[start : start + CHUNK], strict=True)
        for place, (row, label) in enumerate(labelled, start=start):
            digest = head.copy()
            digest.update(b"\x1e" + labels[label].encode() + b"\x1e" + row.tobytes())
            if words:
                digest.update(_digest(b"words", *(cells[place] for cells in words)))
            found.append(digest.digest())
    return tuple(found)


def coarse_sketch(schema: DataSchema, records: Records) -> frozenset[bytes]:
    """What the same records still share when units have new names and values other digits: the
    SKETCH smallest digests of roughly rounded records, without names of units and labels."""
    if records.kind == "text":
        coarse = [" ".join(normal_text(text).casefold().split())[:200] for text in records.x]
        found = {_digest(b"coarse", text) for text in coarse}
    else:
        names = [normal_text(column.name) for column in schema.inputs]
        order = np.argsort(names) if names else None
        found = set()
        for start in range(0, len(records.x), CHUNK):
            part = _flat(records.x[start : start + CHUNK]).astype(np.float64)
            part = part[:, order] if order is not None else _block_means(part)
            found |= {sha256(row.tobytes()).digest() for row in _rounded(part)}
    return frozenset(sorted(found)[:SKETCH])


def declared_columns(schema: DataSchema) -> bytes:
    """Digest of what identifies a record of this schema."""
    names = sorted(normal_text(column.name) for column in schema.inputs)
    return _digest(b"columns", schema.kind, *names, repr(schema.shape))


def _digest(kind: bytes, *parts: str) -> bytes:
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    # Lengths first: no two lists of parts have the same bytes.
    return sha256(b"\x1f".join([kind, *(b"%d:" % len(part) + part for part in encoded)])).digest()


def _flat(x: NDArray[np.generic]) -> NDArray[np.generic]:
    return x.reshape(len(x), -1)


def _single(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """In 32 bits, with one zero and one NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.ascontiguousarray(values, dtype="<f4") + np.float32(0.0)
    single[np.isnan(single)] = np.nan
    return np.asarray(single, dtype="<f4")


def _block_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of long rows, the means of at most 16 parts."""
    parts = np.array_split(values, min(16, values.shape[1]), axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """To four bits, (n, 2 d): mantissas and exponents."""
    with np.errstate(invalid="ignore"):
        mantissas, exponents = np.frexp(np.nan_to_num(values, posinf=0.0, neginf=0.0))
    return np.asarray(np.concatenate([np.rint(mantissas * 32), exponents], axis=1), dtype="<i2")
