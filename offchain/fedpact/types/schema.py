"""What a provider declares about its data: a TOML file beside the data (`schema.toml`).

The declaration is public. A daemon decides from it, from the policy and from the request alone
whether it joins, never from the records: otherwise a requester could learn about single records by
designing requests and looking at who joins (docs/privacy.md).
"""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from fedpact.errors import DataError, PolicyRefusal
from fedpact.types.columns import RANGED, ColumnSchema, check_range
from fedpact.types.document import Document
from fedpact.types.files import read_toml
from fedpact.types.layout import PLAIN, FileLayout
from fedpact.types.names import label_key
from fedpact.types.paths import path_of
from fedpact.types.series import Series
from fedpact.types.specification import Specification
from fedpact.types.validation import every_error

RECORD = "record"
"""The privacy unit of data whose records are each a unit of their own."""


def schema_file(data: Path) -> Path:
    """Where the schema of a data file or folder is unless its owner says otherwise: beside it, with
    `.schema.toml` after its name."""
    return data.with_name(f"{data.name}.schema.toml")


class DataSchema(Document):
    """The declaration of one data set."""

    version: Literal[1] = 1
    data_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """Random hex digits, drawn once: names the data set in the privacy ledger for good."""
    category: Annotated[str, Field(min_length=1, max_length=100)]
    """What the data are about."""
    kind: Literal["numbers", "text"] = "numbers"
    units: Annotated[int, Field(ge=1, lt=2**63)]
    """Privacy units. The number is public; the data may have fewer."""
    examples_per_unit: Annotated[int, Field(ge=1)] = 1
    """Examples of one unit that are used; further ones are ignored."""
    unit: Annotated[str, Field(min_length=1)] = RECORD
    """The table's column that names an example's privacy unit; `record`: each is its own unit. A
    table must say which."""
    labels: tuple[str, ...] = ()
    """Label names that may occur."""
    label_column: str = "label"
    """A table's column of label names."""
    shape: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Of one example of arrays."""
    value_range: tuple[float, float] | None = None
    """Lowest and highest value of arrays; public."""
    columns: tuple[ColumnSchema, ...] = ()
    """A table's columns, in order; those of no use as a feature need not be listed."""
    series: Series | None = None
    """Of a table of time series: requests may ask for windows of its rows."""
    output: ColumnSchema | None = None
    """What a regression over arrays predicts. Over a table it predicts one of the columns."""
    file: FileLayout = PLAIN
    """How the owner's file writes a table; stays with the owner."""

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read a TOML file; raises DataError naming the field that is wrong, InvalidInput for
        anything but a path."""
        path = path_of("schema", path)
        fields = read_toml(path, "schema", DataError)
        try:
            return cls.model_validate_json(json.dumps(fields, default=str))
        except ValidationError as error:
            raise DataError(f"schema {path}: {every_error(error)}") from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "text":
            if self.shape or self.columns or self.value_range or self.output:
                raise ValueError("texts have no shape, columns, value_range or output")
        elif bool(self.columns) == bool(self.shape):
            raise ValueError("numbers need either columns (a table) or a shape (arrays)")
        if self.shape:
            if self.value_range is None:
                raise ValueError("arrays need a value_range")
            check_range("value_range", self.value_range)
        elif self.value_range is not None or self.output is not None:
            raise ValueError("value_range and output are for arrays: give a table's columns ranges")
        if self.columns and "unit" not in self.model_fields_set:
            raise ValueError(
                'a table says what one privacy unit is: unit = "COLUMN" where rows with the same '
                'entry belong to one person or machine, unit = "record" where each row is a unit '
                "of its own"
            )
        if self.series is not None:
            self._check_series(self.series)
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("columns name one column twice")
        keys = [label_key(label) for label in self.labels]
        if len(set(keys)) != len(keys):
            raise ValueError("labels name a class twice")
        if "" in keys:
            raise ValueError("labels: an empty name is not a class")
        return self

    def _check_series(self, series: Series) -> None:
        if not self.columns or self.unit != series.by:
            raise ValueError(
                f"series: its windows overlap, so rows of one {series.by!r} are one privacy unit: "
                f'unit = "{series.by}" in a table'
            )
        ordered = {column.name for column in self.columns if column.type in RANGED}
        if series.order is not None and series.order not in ordered:
            raise ValueError(f"series: order {series.order!r} is not a number or timestamp column")

    @property
    def is_table(self) -> bool:
        return bool(self.columns)

    @property
    def unit_column(self) -> str | None:
        """None where each record is a unit of its own."""
        return None if self.unit == RECORD else self.unit

    @property
    def published(self) -> dict[str, Any]:
        """What a provider publishes of it when it joins: all but the identifier and what its files
        look like, in JSON types."""
        public = self.model_copy(
            update={
                "columns": tuple(column.asked for column in self.columns),
                "output": None if self.output is None else self.output.asked,
            }
        )
        return public.model_dump(mode="json", exclude={"data_id", "file"})

    @property
    def inputs(self) -> tuple[ColumnSchema, ...]:
        """A table's columns that may be features or outputs."""
        return tuple(column for column in self.columns if column.is_input)

    def feature_columns(self, spec: Specification) -> tuple[str, ...]:
        """The columns of a table that a specification's features take, in its order."""
        return spec.features.names

    def check(self, spec: Specification) -> None:
        """Raise PolicyRefusal where the declared data cannot serve a specification."""
        features = spec.features
        if features.kind != self.kind:
            raise PolicyRefusal(f"the data are {self.kind}, the request asks for {features.kind}")
        if spec.task == "classification" and not set(self.labels) & set(spec.labels):
            raise PolicyRefusal("none of the request's labels is declared")
        if self.kind == "text":
            return
        if self.is_table:
            self._check_columns(spec)
        elif features.names:
            raise PolicyRefusal("the request names columns, the data are arrays")
        elif math.prod(features.shape) != math.prod(self.shape):
            raise PolicyRefusal(
                f"an example has shape {list(self.shape)}, the request asks for "
                f"{list(features.shape)}"
            )
        elif spec.output is not None and self.output is None:
            raise PolicyRefusal("no output is declared, the request asks for a regression")

    def _check_columns(self, spec: Specification) -> None:
        asked_series = spec.features.series
        if asked_series is not None:
            has = self.series
            if has is None or (has.by, has.order) != (asked_series.by, asked_series.order):
                raise PolicyRefusal(
                    f"the request asks for windows by {asked_series.by!r} in the order of "
                    f"{asked_series.order!r}, which is not what series declares"
                )
        if not spec.features.names:
            raise PolicyRefusal("the data are a table: the request must name its columns")
        declared = {column.name: column for column in self.inputs}
        wanted = self.feature_columns(spec)
        output = None if spec.output is None else spec.output.column
        for name in wanted if output is None else (*wanted, output):
            if name not in declared:
                raise PolicyRefusal(f"no column {name!r} is declared as an input")
        if output in wanted:
            raise PolicyRefusal(f"column {output!r} cannot be both a feature and the output")
        if output is not None and declared[output].type == "text":
            raise PolicyRefusal(f"column {output!r} is a text, which no regression predicts")
        for asked in spec.features.table:
            own = declared[asked.name]
            if (own.type, own.measure) != (asked.type, asked.measure):
                raise PolicyRefusal(
                    f"column {asked.name!r} is declared as {_kind(own)}, the request asks for "
                    f"{_kind(asked)}"
                )
            if asked.values and not set(own.keys) & set(asked.keys):
                raise PolicyRefusal(
                    f"column {asked.name!r}: none of the request's values is declared"
                )
        if spec.features.table:
            return
        for name in wanted if output is None else (*wanted, output):
            if declared[name].type not in (*RANGED, "boolean"):
                raise PolicyRefusal(
                    f"column {name!r} is declared as {_kind(declared[name])}, the request takes "
                    "it for a number"
                )
        rows = 1 if asked_series is None else asked_series.window
        if rows * len(wanted) != math.prod(spec.features.shape):
            raise PolicyRefusal(
                f"{len(wanted)} columns do not fill the shape {list(spec.features.shape)}"
            )


def _kind(column: ColumnSchema) -> str:
    return column.type if column.measure is None else f"{column.type} in {column.measure}"
