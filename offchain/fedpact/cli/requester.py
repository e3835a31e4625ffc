"""`fedpact requester`: the requester's service."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session

app = typer.Typer(help="Serve the account's requests unattended.", no_args_is_help=True)


@app.command()
def serve(
    context: typer.Context,
    slices: Annotated[
        Path | None,
        typer.Option(
            help="Folder of files from `fedpact request slice-keys`: opens the slices of these"
            " requests too.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object a line.")
    ] = False,
) -> None:
    """Handle all requests of the account until stopped.

    Opens evaluation slices, fetches delivered models into the state folder, disputes a key that
    does not open, accepts a model that does, and takes back what is not due. Ctrl-C or SIGTERM
    stops it; it can be started again at any time.

    Example: fedpact --account bob requester serve
    """
    from fedpact.logs import log_to_stderr
    from fedpact.requester import serve as service

    at = session.of(context)
    log_to_stderr(at.settings.log_level, as_json=log_json)
    interval = at.settings.poll_interval
    service.serve(
        at.settings,
        lambda metrics: service.RequesterDaemon(at.requester, interval, slices, metrics),
    )
