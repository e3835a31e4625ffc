"""How amounts are written: in JSON without loss, on pages for people."""

from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema

from fedpact.types.requests import ETHER
from fedpact.types.scores import INVALID

Wei = Annotated[
    int,
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^-?[0-9]+$", "description": "In wei."}),
]
"""An amount in a token's smallest unit; a text in JSON, whose numbers lose digits beyond 2^53."""

WEI_PER_ETHER = 10**18


def ether(wei: int) -> str:
    """An amount of wei in ether, exact, without trailing zeros."""
    sign, whole, rest = "-" if wei < 0 else "", abs(wei) // WEI_PER_ETHER, abs(wei) % WEI_PER_ETHER
    digits = f"{rest:018d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def amount_text(amount: int, token: str) -> str:
    """An amount with what it is of; of a token in its smallest unit."""
    return f"{ether(amount)} ether" if token == ETHER else f"{amount} of token {token}"


def error_text(value: int | None) -> str:
    """An error in 1/10,000 as a share of 1, such as 0.0830."""
    return "-" if value is None or value == INVALID else f"{value / 10_000:.4f}"
