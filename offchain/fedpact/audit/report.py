"""What an audit says: per item, whether it holds, fails, or could not be looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fedpact.errors import AuditFailed, FedpactError, Retryable


class Verdict(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class AuditItem:
    """One thing that was looked at; `name` is a stable key."""

    name: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class AuditReport:
    request_id: int
    block: int
    """The block as of which all was read."""
    items: tuple[AuditItem, ...]

    @property
    def failed(self) -> list[AuditItem]:
        return [item for item in self.items if item.verdict is Verdict.FAILS]

    @property
    def unavailable(self) -> list[AuditItem]:
        return [item for item in self.items if item.verdict is Verdict.UNAVAILABLE]

    def verdict(self, name: str) -> Verdict:
        """The verdict on one item; KeyError for a name that there is not."""
        return {item.name: item.verdict for item in self.items}[name]

    def check(self) -> None:
        """Raises AuditFailed naming what does not hold."""
        if self.failed:
            found = "; ".join(f"{item.name}: {item.detail}" for item in self.failed)
            raise AuditFailed(f"request {self.request_id}: {found}")


class Broken(FedpactError):
    """Something looked at does not hold."""


class Unavailable(FedpactError):
    """Something cannot be looked at: not there, not yet, or sealed to others."""


def look(name: str, check: Callable[[], str]) -> AuditItem:
    """Run one check, which returns what it saw, or raises Broken or Unavailable.

    Content that cannot be had leaves an item open; content that is wrong makes it fail.
    """
    try:
        return AuditItem(name, Verdict.HOLDS, check())
    except (Unavailable, Retryable) as error:
        return AuditItem(name, Verdict.UNAVAILABLE, str(error))
    except FedpactError as error:
        return AuditItem(name, Verdict.FAILS, str(error))


def require(holds: bool, detail: str) -> None:
    """Raises Broken with `detail` unless it holds."""
    if not holds:
        raise Broken(detail)
