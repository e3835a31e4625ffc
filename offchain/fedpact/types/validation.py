"""One line out of a pydantic ValidationError."""

from pydantic import ValidationError


def first_error(error: ValidationError, whole: str = "document") -> str:
    """The first failure as "field.path: message".

    `whole` stands for the path where the failure concerns no single field.
    """
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"
