"""One line out of a pydantic ValidationError: its first failure, or all of them."""

from pydantic import ValidationError

MOST = 10
"""Failures that one line names."""


def every_error(error: ValidationError) -> str:
    """All failures as "field.path: message", in the order of the fields, for files that people
    write: nobody mends them one a run."""
    found = [_line(one["loc"], one["msg"]) for one in error.errors(include_url=False)]
    rest = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "; ".join([*found[:MOST], *rest])


def first_error(error: ValidationError, whole: str = "document") -> str:
    """The first failure as "field.path: message".

    `whole` stands for the path where the failure concerns no single field.
    """
    first = error.errors(include_url=False)[0]
    return _line(first["loc"], first["msg"], whole)


def _line(place: tuple[int | str, ...], message: str, whole: str = "document") -> str:
    return f"{'.'.join(map(str, place)) or whole}: {message}"
