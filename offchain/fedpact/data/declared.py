"""A provider's records as its schema declares them, and as a specification takes them.

Reading checks the file once, for the owner. From then on no request can make a record raise: values
outside the declared range count as its nearer end, and a record that cannot be used counts as zero,
while the number of privacy units stays the declared one. So a daemon's behaviour does not depend
on any single record.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs, Targets
from fedpact.data.documents import documents
from fedpact.data.identity import unit_digests
from fedpact.data.readers import capped, log_ignored, read_unchecked
from fedpact.data.readers.cells import numbers
from fedpact.data.readers.encoding import encoded, examples
from fedpact.data.readers.records import CHUNK, Records
from fedpact.data.readers.windows import window_rows
from fedpact.errors import DataError
from fedpact.types.columns import ColumnSchema
from fedpact.types.names import label_key
from fedpact.types.schema import RECORD, DataSchema
from fedpact.types.series import SeriesWindows
from fedpact.types.specification import Specification

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Misfits:
    """How many examples a schema does not cover; for the owner, never published."""

    examples: int
    unusable: int
    """Without a value that nothing takes the place of."""
    undeclared_labels: int
    outside: int
    """With a value outside its declared range."""
    beyond_unit: int
    """Of a unit that has more than the schema's `examples_per_unit`."""


@dataclass(frozen=True)
class DeclaredData:
    """One data set, read under its schema."""

    schema: DataSchema
    records: Records

    @classmethod
    def read(cls, path: Path, schema: DataSchema) -> "DeclaredData":
        """The records at `path`.

        Raises DataError for a file that cannot be read, that differs from the schema in kind,
        shape or columns, or that holds more privacy units than the schema declares.
        """
        columns = tuple(column.source or column.name for column in schema.inputs)
        labelled = schema.labels or not schema.is_table
        records = read_unchecked(
            path,
            schema.label_column if labelled else None,
            columns,
            schema.unit_column,
            schema.file,
            schema.inputs,
        )
        log_ignored(path, records.ignored)
        if schema.is_table and records.kind == "numbers":
            records = _as_table(path, schema, records)
        if records.kind != schema.kind:
            raise DataError(f"data {path}: they are {records.kind}, the schema says {schema.kind}")
        if schema.shape and int(np.prod(records.x.shape[1:])) != int(np.prod(schema.shape)):
            raise DataError(
                f"data {path}: an example has shape {list(records.x.shape[1:])}, the schema says "
                f"{list(schema.shape)}"
            )
        if schema.unit_column is not None and not records.grouped_units:
            raise DataError(
                f"data {path}: nothing there names units, the schema's unit is "
                f"{schema.unit_column!r}"
            )
        if schema.unit_column is None and records.grouped_units:
            raise DataError(
                f"data {path}: several examples belong to one unit there, the schema's unit is "
                f"{RECORD!r}"
            )
        found = cls(schema, records)
        units = len(set(found.units))
        if units > schema.units:
            raise DataError(
                f"data {path}: {units} privacy units, the schema declares {schema.units}: raise "
                "units in the schema"
            )
        return found

    @cached_property
    def units(self) -> tuple[bytes, ...]:
        """Digest of each example's privacy unit, by which the ledger knows it."""
        return unit_digests(self.schema, self.records)

    @property
    def renamed(self) -> set[tuple[bytes, bytes]]:
        """Each unit with the digests by which ledgers of before version 4 knew its records."""
        return set(zip(self.units, self.records.units, strict=True))

    @cached_property
    def misfits(self) -> Misfits:
        records = self.records
        return Misfits(
            len(records.labels),
            int((~self._finite).sum()),
            0
            if not self.schema.labels
            else sum(label_key(label) not in self._declared_labels for label in records.labels),
            int(self._outside().sum()),
            int((~self._within_unit).sum()),
        )

    def dataset(self, spec: Specification) -> Dataset:
        """The records that a specification can use, values clamped and divided by its scale.

        Never raises for what a record holds. `spec` must pass `DataSchema.check`.
        """
        if spec.features.series is not None:
            return self._windows(spec, spec.features.series)
        usable = self._within_unit & self._usable_for(spec)
        y, labelled = self._targets(spec)
        rows = np.flatnonzero(usable & labelled)
        units = tuple(self.units[row] for row in rows)
        return Dataset(self._inputs(spec, rows), y[rows], units, self.schema.units)

    def _windows(self, spec: Specification, series: SeriesWindows) -> Dataset:
        """Windows whose rows are all usable, the first `examples_per_unit` of each unit."""
        order = None
        if series.order is not None:
            order = self.records.x[:, self._place_of[series.order]].astype(np.float64)
        windows = window_rows(series, self.records.groups, order)
        y, labelled = self._targets(spec)
        ends = windows[:, -1]
        once = self._usable_for(spec, lambda name: name in series.static)
        moving = self._usable_for(spec, lambda name: name not in series.static)
        windows = windows[labelled[ends] & once[ends] & moving[windows].all(axis=1)]
        units = [self.units[row] for row in windows[:, -1]]
        kept = np.flatnonzero(first_of_each(units, self.schema.examples_per_unit))
        windows = windows[kept]
        x = self._examples(spec, windows)
        names = tuple(units[place] for place in kept)
        return Dataset(x, y[windows[:, -1]], names, self.schema.units)

    # ------------------------------------------------------------------ parts

    @cached_property
    def _declared_labels(self) -> set[str]:
        return set(map(label_key, self.schema.labels))

    @cached_property
    def _within_unit(self) -> NDArray[np.bool_]:
        """Whether an example is among the first `examples_per_unit` of its unit."""
        return first_of_each(self.units, self.schema.examples_per_unit)

    @cached_property
    def _finite(self) -> NDArray[np.bool_]:
        if not self.schema.is_table:
            return self._all_finite(None)
        needed = tuple(one.name for one in self.schema.inputs if one.missing == "omit")
        return self._all_finite(self._places(needed))

    def _usable_for(
        self, spec: Specification, of: Callable[[str], bool] = lambda name: True
    ) -> NDArray[np.bool_]:
        """Whether a row has all values that nothing takes the place of, (n,), of the columns whose
        names `of` takes."""
        if not spec.features.table:
            names = tuple(filter(of, self.schema.feature_columns(spec)))
            return self._all_finite(self._places(names))
        usable = np.ones(len(self.records.x), dtype=bool)
        for column in spec.features.table:
            if column.missing == "omit" and column.type != "text" and of(column.name):
                usable &= np.isfinite(self._asked(column))
        return usable

    def _asked(self, column: ColumnSchema) -> NDArray[Any]:
        """Values of a column as a specification declares it, within the owner's range, (n,): a
        category's index into the specification's values; of a text the text."""
        if column.type == "text":
            return self._texts[column.name]
        place = self._place_of[column.name]
        own, values = self.schema.inputs[place], self.records.x[:, place].astype(np.float64)
        if not own.values:
            return np.where(np.isfinite(values), np.clip(values, *own.limits), np.nan)
        index = {key: float(code) for code, key in enumerate(column.keys)}
        codes = np.array([*(index.get(key, np.nan) for key in own.keys), np.nan])
        known = np.isfinite(values)
        return codes[np.where(known, values, len(own.keys)).astype(np.int64)]

    def _places(self, columns: tuple[str, ...]) -> NDArray[np.int64] | None:
        if not self.schema.is_table:
            return None
        return np.array([self._place_of[name] for name in columns], dtype=np.int64)

    @cached_property
    def _texts(self) -> dict[str, Inputs]:
        """Of each text that is an input, (n,)."""
        names = {column.name for column in self.schema.inputs if column.type == "text"}
        return {name: documents(texts) for name, texts in self.records.words if name in names}

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.records.columns)}

    def _all_finite(self, columns: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        """Whether all values of an example, or those of some columns, are finite; (n,)."""
        x = self.records.x
        if x.dtype.kind != "f":
            return np.ones(len(x), dtype=bool)
        finite = np.empty(len(x), dtype=bool)
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK].reshape(len(x[start : start + CHUNK]), -1)
            chosen = part if columns is None else part[:, columns]
            finite[start : start + CHUNK] = np.isfinite(chosen).all(axis=1)
        return finite

    def _outside(self) -> NDArray[np.bool_]:
        """Whether an example has a value outside its declared range, (n,)."""
        x = self.records.x
        found = np.zeros(len(x), dtype=bool)
        if self.schema.kind == "text":
            return found
        low, high = self._limits(None)
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK].reshape(len(x[start : start + CHUNK]), -1)
            found[start : start + CHUNK] = ((part < low) | (part > high)).any(axis=1)
        return found

    def _limits(
        self, columns: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest value, of each column of a table or of all values of arrays."""
        if not self.schema.is_table:
            assert self.schema.value_range is not None
            low, high = self.schema.value_range
            return np.array(low), np.array(high)
        ranges = np.array([column.limits for column in self.schema.inputs])
        if columns is not None:
            ranges = ranges[columns]
        return ranges[:, 0], ranges[:, 1]

    def _inputs(self, spec: Specification, rows: NDArray[np.int64]) -> Inputs:
        if self.schema.kind == "text":
            return self.records.x[rows]
        return self._examples(spec, rows[:, None])

    def _examples(self, spec: Specification, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of windows of rows, (n, rows): (n, *shape)."""
        if spec.features.table:
            return examples(spec.features, windows, self._encoded)
        rows, places = np.unique(windows, return_inverse=True)
        found = self._row_inputs(spec, rows)[places.reshape(-1)]
        return np.asarray(found.reshape(len(windows), *spec.features.shape))

    def _encoded(
        self, columns: Sequence[ColumnSchema], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        return encoded(columns, [self._asked(column)[rows] for column in columns])

    def _row_inputs(self, spec: Specification, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of plain numbers, (len(rows), inputs of a row)."""
        x = self.records.x
        columns = self._places(self.schema.feature_columns(spec))
        low, high = self._limits(columns)
        flat = x.reshape(len(x), -1)
        width = flat.shape[1] if columns is None else len(columns)
        found = np.empty((len(rows), width), dtype=np.float32)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            values = (flat[part] if columns is None else flat[np.ix_(part, columns)]).astype(
                np.float64
            )
            clamped = np.clip(values, low, high) / spec.features.scale
            found[start : start + CHUNK] = np.clip(clamped, -LARGEST, LARGEST)
        return found

    def _targets(self, spec: Specification) -> tuple[Targets, NDArray[np.bool_]]:
        """Of every example, and whether the specification can use it."""
        if spec.output is None:
            indices = {label_key(name): index for index, name in enumerate(spec.labels)}
            keys = [label_key(label) for label in self.records.labels]
            found = [indices.get(key, -1) if key in self._declared_labels else -1 for key in keys]
            y = np.array(found, dtype=np.int64)
            return y, y >= 0
        values, (low, high) = self._outputs(spec.output.column)
        finite = np.isfinite(values)
        clamped = np.clip(np.where(finite, values, low), low, high)
        return np.clip(capped(clamped, spec.output), -LARGEST, LARGEST), finite

    def _outputs(self, column: str) -> tuple[NDArray[np.float64], tuple[float, float]]:
        """A regression's values before scaling, and their declared range."""
        if self.schema.is_table:
            index = self._place_of[column]
            values = self.records.x[:, index].astype(np.float64)
            return values, self.schema.inputs[index].limits
        assert self.schema.output is not None
        values = numbers(self.records.labels, self.records.layout)
        return values, self.schema.output.limits


def first_of_each(units: Sequence[bytes], most: int) -> NDArray[np.bool_]:
    """Whether an example is among the first `most` of its unit, (n,)."""
    seen: dict[bytes, int] = {}
    kept = np.empty(len(units), dtype=bool)
    for row, unit in enumerate(units):
        seen[unit] = seen.get(unit, 0) + 1
        kept[row] = seen[unit] <= most
    return kept


def no_examples(spec: Specification) -> Dataset:
    """An empty data set of the form that a specification asks for."""
    x = (
        documents([])
        if spec.features.kind == "text"
        else np.zeros((0, *spec.features.shape), "<f4")
    )
    return Dataset(x, np.zeros(0, np.int64 if spec.output is None else np.float32), ())


def _as_table(path: Path, schema: DataSchema, records: Records) -> Records:
    """Records under the schema's names of columns: of a table whatever its file calls them, of
    arrays in the schema's order, where the last column of a regression may be in `y`."""
    names = tuple(column.name for column in schema.inputs)
    if records.columns:
        return replace(records, columns=names)
    x = records.x
    if x.ndim == 2 and not schema.labels and x.shape[1] == len(names) - 1:
        outputs = numbers(records.labels, records.layout)
        x, records = np.hstack([x, outputs[:, None]]), replace(records, labels=("",) * len(x))
    text = next((one.name for one in schema.inputs if one.type == "text"), None)
    if text is not None:
        raise DataError(
            f"data {path}: arrays hold no texts, and column {text!r} is one: give a table"
        )
    if x.ndim != 2 or x.shape[1] != len(names):
        raise DataError(
            f"data {path}: examples of shape {list(x.shape[1:])}, the schema has {len(names)} "
            "columns"
        )
    if not schema.labels:
        records = replace(records, labels=("",) * len(x))
    return replace(records, x=x, columns=names)
