"""One line out of a pydantic ValidationError: its first failure, or all of them."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST = 10
"""Failures that one line names."""


def every_error(error: ValidationError) -> str:
    """All failures as "field.path: message", in the order of the fields, for files that people
    write: nobody mends them one a run."""
    found = [_line(one) for one in error.errors(include_url=False)]
    rest = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "; ".join([*found[:MOST], *rest])


def first_error(error: ValidationError, whole: str = "document") -> str:
    """The first failure as "field.path: message".

    `whole` stands for the path where the failure concerns no single field.
    """
    return _line(error.errors(include_url=False)[0], whole)


def said(one: "ErrorDetails") -> str:
    """What a failure says, without its field: our validators' words bare."""
    if one["type"] == "extra_forbidden":
        return "there is no such field"
    return one["msg"].removeprefix("Value error, ")


def _line(one: "ErrorDetails", whole: str = "document") -> str:
    return f"{'.'.join(map(str, one['loc'])) or whole}: {said(one)}"
