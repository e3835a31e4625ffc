"""How a file writes a table: what a reader cannot know for certain from the file itself."""

from typing import Annotated, Literal

from pydantic import Field

from fedpact.types.document import Document


class FileLayout(Document):
    """The layout of one file. It stays with the owner and is never published.

    A daemon reads its data exactly as their schema says, and never guesses: one record more could
    change a guess, and with it how all other records are read.
    """

    encoding: Annotated[str, Field(min_length=1, max_length=40)] = "utf-8"
    """As Python names it. A byte-order mark is never part of the content."""
    separator: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    """Of numbers in text files."""
    thousands: Literal["", ",", ".", " ", "'"] = ""
    """Separates groups of three digits in text files; a space stands for no-break spaces too."""
    header: bool = True
    """Whether the first line names the columns; otherwise they are column_1, column_2, ..."""
    sheet: str | None = None
    """Of a workbook; may be left out if only one sheet has content."""


PLAIN = FileLayout()
"""UTF-8 with commas, decimal points and a header line."""
