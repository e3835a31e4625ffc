"""`fedpact dashboard`: the web application."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session


class AskProviders(StrEnum):
    """Whose daemons are asked why they stay out of requests."""

    NOBODY = "nobody"
    PUBLIC = "public"
    ALL = "all"


ASK_PRIVATE = {AskProviders.NOBODY: None, AskProviders.PUBLIC: False, AskProviders.ALL: True}


def dashboard(
    context: typer.Context,
    listen: Annotated[
        str, typer.Option(help="host:port at which it answers; a port alone is on 127.0.0.1.")
    ] = "127.0.0.1:8650",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Read the chain again from its first block.")
    ] = False,
    own: Annotated[
        bool, typer.Option("--own", help="Show the account's own provider too, behind a token.")
    ] = False,
    policy: Annotated[
        Path | None, typer.Option(help="The daemon's policy file, for the budget that is left.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="The daemon's log file, for its last errors.")
    ] = None,
    ask_providers: Annotated[
        AskProviders,
        typer.Option(
            help="Ask daemons why they stay out of the open requests that visitors look at: those"
            " at public addresses, or all."
        ),
    ] = AskProviders.NOBODY,
    beside: Annotated[
        Path | None,
        typer.Option(help="File of the deployment with the other kind of rounds, to show both."),
    ] = None,
) -> None:
    """Show requests, rounds, votes and pay in a browser; read-only.

    Everything comes from chain and content store. With --own it also reads the account's state
    folder; the login token is in STATE/dashboard/token. Ctrl-C stops it.

    Example: fedpact --account alice dashboard --own --policy policy.toml
    """
    from fedpact.errors import InvalidInput, SettingsError
    from fedpact.logs import log_to_stderr

    at = session.of(context)
    try:
        from fedpact.dashboard.serve import serve
        from fedpact.dashboard.web.provider import OwnFiles
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the dashboard needs {error.name}: pip install 'fedpact[dashboard]'"
        ) from error
    address = f"127.0.0.1:{listen}" if listen.isdecimal() else listen
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 2**16):
        raise InvalidInput(f"--listen {listen}: must be host:port")
    settings = at.settings
    log_to_stderr(settings.log_level)
    files = None
    if own:
        files = OwnFiles(at.address(), settings.state, policy, log, settings.monitor)
    serve(
        settings,
        at.deployment,
        address,
        rebuild=rebuild,
        own=files,
        ask_private=ASK_PRIVATE[ask_providers],
        beside=beside,
    )
