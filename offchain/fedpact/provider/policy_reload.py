"""Read the policy again while the daemon runs (SIGHUP)."""

import logging
from dataclasses import replace
from pathlib import Path

from fedpact.errors import SettingsError
from fedpact.provider.context import Context
from fedpact.provider.data_sets import served_on
from fedpact.provider.policy import Policy

log = logging.getLogger(__name__)


def reloaded(file: Path, ctx: Context) -> Context | None:
    """The context under the policy as its file says now, for what begins from now on. None, and
    an error in the log, where the file has an error or lists other data sets: nothing changes."""
    try:
        policy = Policy.read(file)
    except SettingsError as error:
        log.error("the policy was not reloaded, the previous one stays in force: %s", error)
        return None
    data = served_on(policy, ctx.data, ctx.policy)
    if data is None:
        log.error(
            "the policy was not reloaded, the previous one stays in force: it lists other"
            " data sets, or other files of them: start the daemon again to serve these"
        )
        return None
    changes = "; ".join(policy.changes_since(ctx.policy)) or "nothing"
    log.info(
        "policy reloaded: it applies to requests that are not joined yet, and limits"
        " trainings that begin from now on; changed: %s",
        changes,
    )
    return replace(ctx, policy=policy, data=data)
