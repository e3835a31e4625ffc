"""Columns of a table as a schema declares them, and as a specification asks for them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from fedpact.types.document import Document
from fedpact.types.names import label_key

MAX_MAGNITUDE = 1e12
"""Largest absolute value of a declared range."""
MAX_VALUES = 1000
"""Of a category or an ordinal."""
ColumnType = Literal[
    "number", "integer", "category", "boolean", "ordinal", "text", "timestamp", "identifier"
]
RANGED = ("number", "integer", "timestamp")
LISTED = ("category", "ordinal")
MIN_BUCKETS, MAX_BUCKETS = 64, 4096
"""Of hashed words. A model has a weight for each, and under privacy each has its noise."""
BUCKETS, WEIGHT = 256, 2.0
"""Unless a column says otherwise."""
SENTENCE_WIDTH = 384
"""Values that the public sentence network gives for a text."""


class ColumnSchema(Document):
    """A column of a table, or the output of arrays. All but `source` and `format` is public."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    type: ColumnType = "number"
    """`ordinal`: a category whose values have an order. `identifier`: never a feature, and neither
    is a `text` without an `encoding`."""
    range: tuple[float, float] | None = None
    """Lowest and highest value of a number, integer or timestamp (an ISO 8601 date or time, here in
    seconds since 1970, UTC). Values outside count as the nearer end."""
    measure: Annotated[str, Field(min_length=1, max_length=20)] | None = None
    """Unit of measurement that may follow a number in its cell, such as `°C`."""
    values: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=1000)] = ()
    """Of a category or an ordinal, in order. Any other value counts as missing."""
    missing: Literal["omit", "constant", "indicator"] = "omit"
    """What a missing value does: the record does not count; `constant` takes its place; or a
    further input is 1 and the column's own are 0 (for a category: a category of its own)."""
    constant: float | str | None = None
    """A number within the range (for a boolean 0 or 1), or one of `values`."""
    encoding: Literal["words", "sentences"] | None = None
    """How a text becomes inputs: its words and pairs of words by hash, or the row of a public
    network, the extra `sentences`. An empty text is all zeros, so a text is never missing."""
    buckets: Annotated[int, Field(ge=MIN_BUCKETS, le=MAX_BUCKETS)] | None = None
    """Inputs that words become, a power of two; None: BUCKETS."""
    weight: Annotated[float, Field(ge=1e-3, le=1e3)] | None = None
    """L2 norm of a text's inputs, where a number is from -1 to 1; None: WEIGHT."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Hex sha-256 of the network's weights; of `sentences` only."""
    source: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """What the file calls the column, where that is not `name`: the name stays when a header
    changes, and with it the records' identity."""
    format: Annotated[str, Field(min_length=2, max_length=40)] | None = None
    """How the file writes a timestamp that is not ISO 8601, as Python's strptime names it."""

    @field_validator("range", mode="before")
    @classmethod
    def _dates(cls, given: Any, info: ValidationInfo) -> Any:
        """A timestamp's range is written in dates."""
        if not isinstance(given, list | tuple):
            return given
        dates = info.data.get("type") == "timestamp"
        return tuple(seconds(one) if dates and isinstance(one, str) else one for one in given)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        where = f"column {self.name!r}"
        if (self.type in RANGED) != (self.range is not None):
            needs = "needs a range" if self.type in RANGED else "has no range"
            raise ValueError(f"{where}: a column of type {self.type} {needs}")
        if self.range is not None:
            check_range(where, self.range)
        if (self.type in LISTED) != bool(self.values):
            needs = "needs values" if self.type in LISTED else "has no values"
            raise ValueError(f"{where}: a column of type {self.type} {needs}")
        if len(set(map(label_key, self.values))) != len(self.values):
            raise ValueError(f"{where}: values name one twice")
        if self.type == "ordinal" and len(self.values) < 2:
            raise ValueError(f"{where}: an order needs two values")
        if self.measure is not None and self.type not in ("number", "integer"):
            raise ValueError(f"{where}: only numbers have a unit of measurement")
        if self.format is not None and self.type != "timestamp":
            raise ValueError(f"{where}: only timestamps have a format")
        self._check_text(where)
        self._check_missing(where)
        return self

    def _check_missing(self, where: str) -> None:
        if (self.missing == "constant") != (self.constant is not None):
            raise ValueError(f"{where}: constant goes with missing = 'constant', and only with it")
        if self.missing != "omit" and self.type in ("text", "identifier"):
            raise ValueError(f"{where}: it is not a feature, or is a text: it takes no `missing`")
        if self.constant is None:
            return
        if self.type in LISTED:
            fits = isinstance(self.constant, str) and label_key(self.constant) in self.keys
        else:
            low, high = self.limits
            fits = not isinstance(self.constant, str) and low <= self.constant <= high
        if not fits:
            raise ValueError(f"{where}: constant {self.constant!r} is not one of its values")

    def _check_text(self, where: str) -> None:
        if self.encoding is not None and self.type != "text":
            raise ValueError(f"{where}: only texts have an encoding")
        if self.buckets is not None and self.encoding != "words":
            raise ValueError(f"{where}: buckets go with encoding = 'words'")
        if self.buckets is not None and self.buckets & (self.buckets - 1):
            raise ValueError(f"{where}: buckets must be a power of two, not {self.buckets}")
        if self.weight is not None and self.encoding is None:
            raise ValueError(f"{where}: weight goes with an encoding")
        if (self.digest is not None) != (self.encoding == "sentences"):
            raise ValueError(f"{where}: digest goes with encoding = 'sentences', and only with it")

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that a plain number does not need are left out."""
        fields: dict[str, Any] = handler(self)
        default = {"type": "number", "missing": "omit", "values": []}
        optional = (
            *("range", "measure", "values", "missing", "constant", "type", "format"),
            *("encoding", "buckets", "weight", "digest"),
        )
        return {
            name: value
            for name, value in fields.items()
            if name not in optional or value not in (default.get(name), None, ())
        }

    @property
    def keys(self) -> tuple[str, ...]:
        """Common forms of `values`."""
        return tuple(map(label_key, self.values))

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value as a number: of a category or ordinal the index of a value."""
        if self.range is not None:
            return self.range
        return 0.0, float(max(len(self.values) - 1, 1))

    @property
    def is_input(self) -> bool:
        return self.encoding is not None if self.type == "text" else self.type != "identifier"

    @property
    def width(self) -> int:
        """Inputs of a model that the column becomes: one of a number, one a value of a category,
        and one more for missing values where these are indicated; of a text those of its
        encoding."""
        if not self.is_input:
            return 0
        if self.type == "text":
            return (self.buckets or BUCKETS) if self.encoding == "words" else SENTENCE_WIDTH
        own = len(self.values) if self.type == "category" else 1
        return own + (self.missing == "indicator")

    @property
    def length(self) -> float:
        """L2 norm of a text's inputs."""
        return WEIGHT if self.weight is None else self.weight

    @property
    def asked(self) -> "ColumnSchema":
        """The column as a specification asks for it."""
        return self.model_copy(update={"source": None, "format": None})


def check_range(name: str, limits: tuple[float, float]) -> None:
    """Raise ValueError for limits that are no range within MAX_MAGNITUDE."""
    low, high = limits
    if not (-MAX_MAGNITUDE <= low < high <= MAX_MAGNITUDE):
        raise ValueError(f"{name}: lowest below highest, within ±{MAX_MAGNITUDE:g}, not {limits}")


def seconds(text: str, form: str | None = None) -> float:
    """Seconds since 1970 of an ISO 8601 date or time, or of one in strptime's `form`; UTC unless it
    names another zone. Raises ValueError."""
    found = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
