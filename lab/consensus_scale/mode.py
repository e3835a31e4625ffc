"""The two kinds of consensus that are compared."""

from enum import StrEnum


class Mode(StrEnum):
    """Who writes the record of a request: its committee by votes, or whoever mines it."""

    POQ = "poq"
    POW = "pow"
