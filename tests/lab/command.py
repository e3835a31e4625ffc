"""What a command of the laboratory ended with and printed."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Lab = Callable[..., Ended]
