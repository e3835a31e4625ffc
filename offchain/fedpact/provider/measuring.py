"""What a daemon may run out of: ether, privacy, disk."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedpact.chain.records import Frame
from fedpact.errors import StateError
from fedpact.provider.context import Parts
from fedpact.provider.monitor.metrics import Holdings


def measure(ctx: Parts[Any], frame: Frame, folders: Sequence[Path]) -> Holdings:
    """Ask chain, ledger, store and disk; `folders`: where the daemon writes.

    Raises FedpactError if one of them does not answer.
    """
    standing = ctx.ledger.standing(ctx.limit)
    return Holdings(
        ctx.client.balance(ctx.keys.address, frame),
        standing.spent.epsilon,
        standing.left,
        ctx.store.size(),
        {str(folder): free_bytes(folder) for folder in folders},
    )


def free_bytes(folder: Path) -> int:
    """Room on the folder's file system for this user. Raises StateError."""
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise StateError(f"folder {folder}: {error.strerror}") from error
