"""What a daemon may run out of: ether, privacy, disk."""

import logging
from collections.abc import Sequence
from pathlib import Path

from fedpact.chain.records import Frame
from fedpact.content import fetching
from fedpact.errors import FedpactError
from fedpact.monitor.resources import free_bytes, warn_of_little_ether
from fedpact.provider.context import Context
from fedpact.provider.metrics import BudgetGauge, Holdings

log = logging.getLogger(__name__)


def watch_holdings(ctx: Context, frame: Frame, folders: Sequence[Path]) -> str:
    """Look at what the daemon may run out of; why that failed, empty if it did not. `folders`:
    where it writes."""
    try:
        left = measure(ctx, frame, folders)
    except FedpactError as error:
        log.warning("cannot read the remaining budget: %s", error)
        return str(error)
    ctx.metrics.holds(left)
    warn_of_little_ether(ctx.keys.sender, left.balance)
    return ""


def watch_store(ctx: Context) -> str | None:
    """Tell how much the content store holds; why that failed, empty if it did not, and None while
    the store does not answer."""
    try:
        size = ctx.fetching.found(fetching.ITSELF, "size", lambda store: store.size())
    except FedpactError as error:
        log.warning("cannot list the content store: %s", error)
        return str(error)
    if size is None:
        return None
    ctx.metrics.store_holds(size)
    return ""


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
