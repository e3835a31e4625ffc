"""`fedpact request follow`, `status` and `list`: where requests are."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli import session
from fedpact.cli.options import RequestId
from fedpact.cli.output import (
    AsJson,
    Plain,
    amount,
    live_console,
    print_facts,
    print_json,
    print_rows,
)

if TYPE_CHECKING:
    from fedpact.requester import RequestProgress
    from fedpact.session import Session


def follow(
    context: typer.Context, request_id: RequestId, plain: Plain = False, as_json: AsJson = False
) -> None:
    """Follow a request and open its evaluation slices.

    It ends when the model is delivered.

    On a terminal it shows the round as it goes on: who has acted, whose turn it is,
    seconds left, error by round. Ctrl-C stops it; it can be started again at any time. Rounds
    cannot be judged while it is stopped. With --json, prints one JSON object per line.

    Example: fedpact --account bob request follow 1
    """
    follow_to_end(session.of(context), request_id, plain=plain, as_json=as_json)


def status(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Show the status of a request.

    Example: fedpact --account bob request status 1
    """
    from fedpact.requester.requester import progress_of

    at = session.of(context)
    progress = progress_of(at.client, at.store, request_id)
    facts = _facts(progress)
    if not as_json:
        del facts["note"]
        facts["declined"] = progress.declined_text or None
        errors = ["-" if one is None else f"{one:.4f}" for one in progress.errors]
        facts["errors"] = ", ".join(errors) or None
    print_facts(facts, as_json=as_json)


def list_(
    context: typer.Context,
    everybody: Annotated[
        bool, typer.Option("--all", help="List all requests, not only this account's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List requests, oldest first.

    Example: fedpact request list --all --json
    """
    from fedpact.requester.requester import requests

    at = session.of(context)
    account = None if everybody else at.address()
    rows = [
        {
            "request": one.request_id,
            "requester": one.requester,
            "status": one.status.name.lower(),
            "round": one.round,
            "rounds": one.rounds,
            **amount("payment", one.payment, one.currency, as_json=as_json),
        }
        for one in requests(at.client, account)
    ]
    print_rows(rows, as_json=as_json, empty="no requests")


def follow_to_end(at: "Session", request_id: int, *, plain: bool, as_json: bool) -> None:
    from fedpact.errors import NotReady
    from fedpact.types.requests import Status

    def tell(progress: "RequestProgress") -> None:
        if as_json:
            print_json(_facts(progress), indent=None)
        else:
            typer.echo(progress.text)

    interval = at.settings.poll_interval
    requester = at.requester
    # Of large rounds there is no picture.
    plain = plain or at.client.deployment.is_large
    console = None if as_json else live_console(plain=plain)
    try:
        if console is not None:
            from fedpact.dashboard.terminal.live import follow_live

            end = follow_live(requester, request_id, console, interval)
        else:
            end = requester.follow(request_id, tell, poll_interval=interval)
    except KeyboardInterrupt:
        typer.echo(
            f"stopped: request {request_id} goes on, but nobody opens its evaluation slices;"
            f" `fedpact request follow {request_id}` takes it up again",
            err=True,
        )
        raise
    if not end.model:
        settled = end.status is Status.SETTLED
        rest = (
            "what was not due came back"
            if settled
            else f"take back the rest with `fedpact request refund {request_id}`"
        )
        why = f" ({end.declined_text})" if end.declined else ""
        raise NotReady(
            f"request {request_id} ended ({end.status.name.lower()}) without a model{why}: {rest}"
        )


def _facts(progress: "RequestProgress") -> dict[str, Any]:
    return {
        "request": progress.request_id,
        "status": progress.status.name.lower(),
        "round": progress.round,
        "stage": progress.stage.name.lower(),
        "joined": progress.joined,
        "submitted": progress.submitted,
        "final_rounds": progress.final_rounds,
        "model": progress.model,
        "note": progress.note,
        "declined": dict(progress.declined),
        "errors": list(progress.errors),
    }
