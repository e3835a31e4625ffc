"""What a protocol asks of a provider's daemon: the daemon's cycle knows no more of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, Protocol, TypeVar

from fedpact.chain.records import Call, Frame
from fedpact.logs import about
from fedpact.privacy.ledger_report import ReleaseId
from fedpact.provider.context import DutyResult, Parts, idle
from fedpact.types.specification import Specification


class Look(Protocol):
    """One request at one block."""

    @property
    def ctx(self) -> Parts[Any]: ...

    @property
    def id(self) -> int: ...

    @property
    def round(self) -> int: ...

    @property
    def stage(self) -> str:
        """Where the request is, in one word for people and programs."""

    @property
    def deadline(self) -> int:
        """The last second of its stage; 0: none."""

    @property
    def rest(self) -> float:
        """For how many seconds nothing is asked of this account; 0: it may be at once."""


LookT = TypeVar("LookT", bound=Look)


class Asked(ABC, Generic[LookT]):
    """The duties of one protocol."""

    @property
    @abstractmethod
    def opt_in(self) -> Callable[[LookT], DutyResult]:
        """The duty that decides on a request."""

    @abstractmethod
    def look(self, request: int, frame: Frame) -> LookT:
        """Read a request at a block."""

    @abstractmethod
    def duties_of(self, look: LookT) -> Sequence[Callable[[LookT], DutyResult]]:
        """What may be due now, in the order in which it is tried."""

    @abstractmethod
    def require_worth(self, look: LookT, call: Call, wei: int) -> None:
        """Raise FeeTooHigh if a call that costs `wei` is over the policy, or earns less."""

    @abstractmethod
    def finished_but_due(self, frame: Frame) -> set[int]:
        """Requests that are finished, and still ask something of this account."""

    @abstractmethod
    def may_ask_again(self, request: int) -> bool:
        """Whether a request that is finished may still ask something of this account."""

    @abstractmethod
    def submissions(self, requests: Collection[int] | None = None) -> list[tuple[ReleaseId, bytes]]:
        """The releases that this account has submitted on chain, with their digests.

        `requests`: only of these; None: of all.
        """

    @abstractmethod
    def asked_for(self, request: int, frame: Frame) -> tuple[Specification, str]:
        """A request's specification, and the account of its requester."""

    def next_duty(self, look: LookT) -> DutyResult:
        """Do the first duty that has something to do; otherwise say why nothing was done."""
        outcome = idle(f"no duty in stage {look.stage}")
        for duty in self.duties_of(look):
            name = duty.__name__
            with about(round=look.round, duty=name), look.ctx.metrics.duty(name):
                outcome = duty(look)
            if outcome.acted:
                look.ctx.metrics.done(name)
                break
        return outcome
