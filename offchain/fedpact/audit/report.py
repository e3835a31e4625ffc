"""The result of an audit: per item, whether it holds, fails, or could not be checked."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from fedpact.data.frames import frame_of
from fedpact.errors import AuditFailed, ContentMismatch, FedpactError, Retryable

if TYPE_CHECKING:
    import pandas


class Verdict(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class AuditItem:
    """One check; `name` is a stable key."""

    name: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class AuditReport:
    request_id: int
    block: int
    """The block as of which everything was read."""
    items: tuple[AuditItem, ...]

    @property
    def failed(self) -> list[AuditItem]:
        return [item for item in self.items if item.verdict is Verdict.FAILS]

    @property
    def unavailable(self) -> list[AuditItem]:
        return [item for item in self.items if item.verdict is Verdict.UNAVAILABLE]

    def verdict(self, name: str) -> Verdict:
        """The verdict on one item; KeyError for an unknown name."""
        return {item.name: item.verdict for item in self.items}[name]

    @property
    def overall(self) -> Verdict:
        """FAILS if any item does, else UNAVAILABLE if any could not be checked, else HOLDS."""
        if self.failed:
            return Verdict.FAILS
        return Verdict.UNAVAILABLE if self.unavailable else Verdict.HOLDS

    def frame(self) -> "pandas.DataFrame":
        """The items as a data frame with columns `item`, `verdict` and `detail`. Raises
        SettingsError where pandas is not installed."""
        return frame_of(
            {
                "item": [item.name for item in self.items],
                "verdict": [item.verdict.value for item in self.items],
                "detail": [item.detail for item in self.items],
            }
        )

    def check(self) -> None:
        """Raises AuditFailed naming the items that fail."""
        if self.failed:
            found = "; ".join(f"{item.name}: {item.detail}" for item in self.failed)
            raise AuditFailed(f"request {self.request_id}: {found}")


class Broken(FedpactError):
    """A check fails."""


class Unavailable(FedpactError):
    """A check is not possible: something is missing, not there yet, or sealed to others."""


def look(name: str, check: Callable[[], str]) -> AuditItem:
    """Run one check, which returns what it saw, or raises Broken or Unavailable.

    With missing content the item is unavailable; with wrong content it fails.
    """
    try:
        return AuditItem(name, Verdict.HOLDS, check())
    except ContentMismatch as error:
        return AuditItem(name, Verdict.FAILS, str(error))
    except (Unavailable, Retryable) as error:
        return AuditItem(name, Verdict.UNAVAILABLE, str(error))
    except FedpactError as error:
        return AuditItem(name, Verdict.FAILS, str(error))


def require(holds: bool, detail: str) -> None:
    """Raises Broken with `detail` unless it holds."""
    if not holds:
        raise Broken(detail)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 round, 2 rounds."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
