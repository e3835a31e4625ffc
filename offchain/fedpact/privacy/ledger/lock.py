"""The lock that the one daemon of a privacy ledger holds for as long as it runs."""

import fcntl
import os
from pathlib import Path
from typing import Self

from fedpact.closing import Closing
from fedpact.errors import LedgerError, LedgerUnavailable


class ServingLock(Closing):
    """Held by whoever releases models from a ledger; the kernel frees it when the process ends.

    It is a file of its own (`flock(2)` on `privacy.lock`): commands that only look at the ledger,
    or enter a profile, need no more than SQLite's locks.
    """

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def of(cls, ledger: Path) -> Self:
        """Raises LedgerError if a daemon holds it, LedgerUnavailable if there cannot be one."""
        path = ledger.with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerUnavailable(f"lock {path}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
            os.close(handle)
            if not isinstance(error, BlockingIOError):
                raise LedgerUnavailable(f"lock {path}: {error.strerror}") from error
            raise LedgerError(
                f"privacy ledger {ledger} is in use: another daemon (process {holder or 'unknown'})"
                " serves with it; stop that one first"
            ) from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        except OSError:
            pass  # the number is for people alone
        return cls(handle)

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
