"""What every service may run out of."""

import logging
import shutil
from pathlib import Path

from fedpact.errors import StateError

log = logging.getLogger(__name__)

LITTLE_WEI = 10**16
MEASURED_FOR = 300.0
"""Seconds between two looks."""


def free_bytes(folder: Path) -> int:
    """Room on the folder's file system for this user. Raises StateError."""
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise StateError(f"folder {folder}: {error.strerror}") from error


def warn_of_little_ether(account: str, wei: int) -> None:
    """In the log, if this is little to pay for gas."""
    if wei < LITTLE_WEI:
        log.warning("account %s holds only %d wei", account, wei)
