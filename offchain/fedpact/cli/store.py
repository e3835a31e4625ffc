"""`fedpact store`: what is kept in the content store for which request, and giving it up."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts, print_rows

app = typer.Typer(help="See and prune what is kept for requests.", no_args_is_help=True)


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """List what is kept, for which request, until when.

    These are the items that the accounts in the state folder keep.

    Example: fedpact store status --json
    """
    from fedpact.content.pruning import kept_by_all

    at = session.of(context)
    rows = [
        {
            "account": account,
            "deployment": kept.deployment[:16],
            "request": kept.request,
            "items": kept.items,
            "bytes": kept.bytes,
            "until": _time(kept.until),
        }
        for account, kept in kept_by_all(at.settings.state)
    ]
    print_rows(rows, as_json=as_json, empty="nothing is kept")


@app.command()
def prune(
    context: typer.Context,
    yes: Annotated[
        bool, typer.Option("--yes", help="Unpin and delete. Without it, only say what would go.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Unpin what is no longer owed, and collect garbage.

    Whatever no account in the state folder owes is unpinned; the store deletes what is not pinned.

    Do not prune a store that others use too: what they keep may be the same items.

    Example: fedpact store prune --yes
    """
    from fedpact.content.pruning import prune as give_up

    done = give_up(session.of(context).settings, really=yes)
    print_facts(
        {"pruned": yes, "items": done.items, "bytes": done.bytes, "collected": done.collected},
        as_json=as_json,
    )


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
