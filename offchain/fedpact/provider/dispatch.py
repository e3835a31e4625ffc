"""One request after the other: look at it, do what is due, and say why nothing was done."""

import logging
from collections.abc import Collection
from functools import partial

from fedpact.chain.records import Frame
from fedpact.content.pinning import keeping_for
from fedpact.errors import (
    ContentSought,
    FedpactError,
    LedgerReplaced,
    Retryable,
    Reverted,
    StateDamaged,
    StorageUnavailable,
    TransactionTimeout,
)
from fedpact.logs import without_figures
from fedpact.provider.backoff import Backoffs
from fedpact.provider.context import Context, DutyResult
from fedpact.provider.duties.costs import require_worth
from fedpact.provider.duties.table import next_duty
from fedpact.provider.request.facts import look
from fedpact.provider.request.view import RequestView
from fedpact.provider.writable_files import Storage

log = logging.getLogger(__name__)


class Requests:
    """What fails in one of them concerns that one alone, and is tried again with back-off."""

    def __init__(self, ctx: Context, storage: Storage, backoffs: Backoffs) -> None:
        self._ctx = ctx
        self._storage, self._backoffs = storage, backoffs
        self._views: dict[int, RequestView] = {}
        self._views_of = ""
        """Hash of the block at which they were looked at."""
        self._under_way: set[int] = set()
        """Requests whose duty has sent a transaction that is not mined at the present block."""
        self._reasons: dict[int, str] = {}

    def go_on_with(self, ctx: Context) -> None:
        """Another policy decides from now on."""
        self._ctx, self._views_of = ctx, ""

    def forget(self) -> None:
        """Look at each again."""
        self._views.clear()

    def keep_only(self, requests: Collection[int]) -> None:
        """Forget what was last said of all requests but these."""
        for request in [one for one in self._reasons if one not in requests]:
            del self._reasons[request]

    def advance(self, request: int, frame: Frame) -> bool:
        """Do what is due in a request; whether anything was.

        Raises StateDamaged, LedgerReplaced."""
        if self._backoffs.waits(request):
            return False
        try:
            view = self._view(request, frame)
            if request in self._under_way:
                return False
            self._backoffs.saw(request, view.deadline - frame.timestamp)
            outcome = self.perform(view)
        except TransactionTimeout as error:
            # The same duty finds the same transaction, or what it did, at the next block.
            self._under_way.add(request)
            self._note_error(request, f"waiting: {error}")
            return False
        except Reverted as error:
            # Another member was faster, or a deadline passed between reading and sending.
            self._note_error(request, f"not done: {error}")
        except (StateDamaged, LedgerReplaced):
            raise
        except ContentSought as error:
            self._note_error(request, f"waiting: {error}")
            return False
        except StorageUnavailable as error:
            self._storage.cannot_record(error)
        except Retryable as error:
            self._note_error(request, f"will try again: {error}")
        except FedpactError as error:
            log.error("request %d: %s", request, error, exc_info=log.isEnabledFor(logging.DEBUG))
        except Exception as error:  # whatever it is, it concerns this request alone
            self._ctx.metrics.unexpected.inc()
            log.exception("request %d: will try again: %s", request, type(error).__name__)
        else:
            self._backoffs.done(request)
            self._note(request, outcome.reason)
            return outcome.acted
        self._backoffs.failed(request)
        return False

    def stage(self, request: int) -> str:
        """Where a request is, in one word."""
        view = self._views.get(request)
        return "unread" if view is None else view.stage

    def rest(self, request: int) -> float:
        """For how many seconds a request asks nothing of this account; 0 where that is unknown."""
        view = self._views.get(request)
        try:
            return 0.0 if view is None else view.rest
        except (StateDamaged, LedgerReplaced):
            raise
        except Exception:  # noqa: BLE001 - whatever it is, `advance` meets it too, and logs it
            return 0.0

    def perform(self, view: RequestView) -> DutyResult:
        """Do what is due in a request as it was looked at."""
        sender = self._ctx.client.sender
        sender.purpose, sender.allow = view.id, partial(require_worth, view)
        with keeping_for(view.id):
            return next_duty(view)

    def _view(self, request: int, frame: Frame) -> RequestView:
        """A request at a frame; read once for each frame."""
        if self._views_of != frame.block_hash:
            self._views, self._views_of = {}, frame.block_hash
            self._under_way.clear()
        if request not in self._views:
            self._views[request] = look(self._ctx, request, frame)
        return self._views[request]

    def _note(self, request: int, reason: str) -> None:
        """Log each reason when it changes: the log says why nothing happens."""
        self._log_new(request, reason, reason)

    def _note_error(self, request: int, reason: str) -> None:
        """As `_note`; prices, blocks and other figures differ each time, and are no change."""
        self._log_new(request, without_figures(reason), reason)

    def _log_new(self, request: int, kind: str, reason: str) -> None:
        if self._reasons.get(request) != kind:
            self._reasons[request] = kind
            log.info("request %d: %s", request, reason)
