"""A laboratory command's exit code and output."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Lab = Callable[..., Ended]
