"""What a daemon may run out of: ether, privacy, disk."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from fedpact.chain.records import Frame
from fedpact.content import fetching
from fedpact.errors import FedpactError, StateError
from fedpact.provider.context import Context
from fedpact.provider.monitor.metrics import BudgetGauge, Holdings
from fedpact.provider.startup_checks import LITTLE_WEI

log = logging.getLogger(__name__)


def watch_holdings(ctx: Context, frame: Frame, folders: Sequence[Path]) -> None:
    """Look at what the daemon may run out of; `folders`: where it writes."""
    try:
        left = measure(ctx, frame, folders)
    except FedpactError as error:
        log.warning("cannot tell what is left: %s", error)
        return
    ctx.metrics.holds(left)
    if left.balance < LITTLE_WEI:
        log.warning("account %s holds only %d wei", ctx.keys.sender, left.balance)


def watch_store(ctx: Context) -> bool:
    """Tell how much the content store holds; False while it does not answer."""
    try:
        size = ctx.fetching.found(fetching.ITSELF, "size", lambda store: store.size())
    except FedpactError as error:
        log.warning("cannot tell what the content store holds: %s", error)
        return True
    if size is None:
        return False
    ctx.metrics.store_holds(size)
    return True


def measure(ctx: Context, frame: Frame, folders: Sequence[Path]) -> Holdings:
    """Ask chain, ledger and disk; `folders`: where the daemon writes.

    Raises FedpactError if one of them does not answer.
    """
    budgets = {}
    for one in ctx.data:
        standing = ctx.ledger.standing(one.limit, one.records.schema.data_id if one.name else None)
        budgets[one.name] = BudgetGauge(standing.spent.epsilon, standing.left)
    return Holdings(
        ctx.client.balance(ctx.keys.sender, frame),
        budgets,
        {str(folder): free_bytes(folder) for folder in folders},
    )


def free_bytes(folder: Path) -> int:
    """Room on the folder's file system for this user. Raises StateError."""
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise StateError(f"folder {folder}: {error.strerror}") from error
