"""Rows that follow each other in time, as schemas declare and specifications ask for them."""

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from fedpact.types.document import Document

Name = Annotated[str, Field(min_length=1, max_length=200)]


class Series(Document):
    """Which rows belong together, and in which order."""

    by: Name
    """The column whose entry rows of one machine share. It names the privacy unit."""
    order: Name | None = None
    """A column by which these rows are sorted, a number or time; None: as they are in the file."""


class SeriesWindows(Series):
    """Examples of `window` rows each, every `stride` rows, counted back from the last row of each
    machine. A window has its last row's label; fewer rows than one window make none."""

    window: Annotated[int, Field(ge=1, le=10_000)]
    stride: Annotated[int, Field(ge=1, le=10_000)] = 1
    static: tuple[Name, ...] = ()
    """Columns that an example has once, as they are in its window's last row: what a machine is,
    beside what its sensors said."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without static columns the bytes are those of before there were any."""
        fields: dict[str, Any] = handler(self)
        if not self.static:
            fields.pop("static", None)
        return fields
