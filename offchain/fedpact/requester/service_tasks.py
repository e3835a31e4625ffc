"""What the requester's service has to do, and what it remembers of each."""

from __future__ import annotations

from fedpact.requester.actor import Acting
from fedpact.requester.attempts import Attempts
from fedpact.requester.request_view import RequestLog, RequestLook


class KeyFile(Attempts):
    """To use a file of slice keys."""

    def __init__(self, stamp: tuple[int, int]) -> None:
        """`stamp`: see `serve.stamp_of`."""
        super().__init__()
        self.stamp, self.is_read = stamp, False


class Result(Attempts):
    """Fetch the model of a settled request."""

    def __init__(self, until: int) -> None:
        """`until`: seconds since 1970, for which its makers keep it."""
        super().__init__()
        self.until = until

    @property
    def stage(self) -> str:
        return "fetching"


class Purchase(Attempts):
    """To get a bought model, or its price back."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = ""
        """The block at which a transaction for it was sent that was not mined yet."""

    @property
    def stage(self) -> str:
        return "bought"


class ServedRequest(Attempts):
    """To do the duties of a request that is not over."""

    def __init__(self, acting: Acting, log: RequestLog) -> None:
        super().__init__()
        self.acting, self.log = acting, log
        self.seen: RequestLook | None = None
        self.under_way = ""
        """The block at which its duty had sent a transaction that was not mined yet."""

    @property
    def stage(self) -> str:
        return "unread" if self.seen is None else self.seen.facts.phase.name.lower()
