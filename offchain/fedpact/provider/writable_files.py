"""Whether state and ledger can be written, and what is done where they cannot, or are not the same
files any more."""

import logging
from contextlib import suppress

from fedpact.errors import FedpactError, LedgerError, StorageUnavailable
from fedpact.privacy import passport
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.provider.ledger.reconciling import Reconciliation
from fedpact.provider.state.checkpoint import ProviderState

log = logging.getLogger(__name__)


class Storage:
    """The daemon's two files."""

    def __init__(
        self, state: ProviderState, ledger: Ledger, reconciliation: Reconciliation
    ) -> None:
        self._state, self._ledger, self._reconciliation = state, ledger, reconciliation
        self._recording = True
        """Whether what is done could be recorded when it was tried last."""
        self.replaced = False
        """Whether another ledger has taken the place of this one, and is not in use yet."""
        self._carried: passport.Body | None = None
        """What the one before it knew."""

    def check_writable(self) -> None:
        """Raises StorageUnavailable while state or ledger cannot be written."""
        self._state.check_writable()
        self._ledger.file.check_writable()

    def cannot_record(self, error: FedpactError) -> None:
        """Nothing is sent that cannot be recorded; say so once."""
        if self._recording:
            log.error("%s: nothing is submitted until it can be written again", error)
        self._recording = False

    def require_recording(self) -> None:
        """Raises StorageUnavailable while what could not be recorded still cannot be."""
        if not self._recording:
            self.check_writable()
            self._recording = True
            log.info("state and ledger can be written again")

    def rebuild_state(self) -> bool:
        """Replace a damaged state by an empty one; whether that was possible."""
        try:
            self._state.rebuild()
        except StorageUnavailable as error:
            self.cannot_record(error)
            return False
        return True

    def take_other_ledger(self) -> bool:
        """Use the ledger that is at the path now: merge what the one before it knew, and charge
        what else it lacks before anything else is done; whether that was possible."""
        self._reconciliation.begin_again()
        try:
            if not self.replaced:
                with suppress(LedgerError):  # its content may be gone
                    self._carried = passport.body_of(self._ledger)
            self.replaced = True
            self._ledger.file.reopen()
            if self._carried is not None:
                passport.merge(self._ledger, self._carried)
        except (LedgerError, StorageUnavailable) as error:
            self.cannot_record(error)
            return False
        self.replaced, self._carried = False, None
        return True
