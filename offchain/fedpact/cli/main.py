"""The root command: options shared by all commands, errors and exit codes."""

import sys
import traceback
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from fedpact.cli import (
    account,
    audit,
    dashboard,
    data,
    demo,
    devnet,
    family,
    init,
    network,
    operator,
    participant,
    privacy,
    provider,
    request,
    requester,
    search,
    session,
)
from fedpact.cli import (
    store as store_commands,
)
from fedpact.errors import FedpactError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as in shells."""

app = typer.Typer(
    name="fedpact",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(account.app, name="account")
app.add_typer(data.app, name="data")
app.add_typer(devnet.app, name="devnet")
app.add_typer(family.app, name="family")
app.add_typer(network.app, name="network")
app.add_typer(privacy.app, name="privacy")
app.add_typer(operator.registrar, name="registrar")
app.add_typer(request.app, name="request")
app.add_typer(requester.app, name="requester")
app.add_typer(provider.app, name="provider")
app.add_typer(store_commands.app, name="store")
app.command("init")(init.init)
app.command("deploy")(operator.deploy)
app.command("register")(participant.register)
app.command("audit")(audit.audit)
app.command("dashboard")(dashboard.dashboard)
app.command("demo")(demo.demo)
app.command("search")(search.search)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("fedpact"))
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Ethereum node (URL or IPC socket); several with commas.")
    ] = None,
    deployment: Annotated[Path | None, typer.Option(help="Deployment file (JSON).")] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Content store: a folder, or the RPC URL of an IPFS node; several with commas."
        ),
    ] = None,
    keystore: Annotated[Path | None, typer.Option(help="Folder with the key stores.")] = None,
    account: Annotated[str | None, typer.Option(help="Account to use (address or name).")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the account's password. Default: ask for it.")
    ] = None,
    confirmations: Annotated[
        int | None, typer.Option(help="Blocks to wait for before acting on an event.")
    ] = None,
    poll_interval: Annotated[
        float | None, typer.Option(help="Polling interval of the chain (seconds).")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder for what is kept between runs.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback on errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Buy and sell models trained on data that stay private.

    Settings come from a TOML file (--config, ./fedpact.toml, ~/.config/fedpact/config.toml),
    then from FEDPACT_* variables, then from these options; later ones win. Put these options before
    the command.

    Example: fedpact --endpoint http://127.0.0.1:8545 --account alice request list
    """
    flags = {
        "endpoint": endpoint,
        "deployment": deployment,
        "store": store,
        "keystore": keystore,
        "account": account,
        "password_file": password_file,
        "confirmations": confirmations,
        "poll_interval": poll_interval,
        "state": state,
    }
    context.obj = session.start(config, flags)


@cache
def command() -> Any:
    """The tree of all commands, which takes a while to build."""
    return typer.main.get_command(app)


def run(arguments: list[str] | None = None) -> None:
    """Entry point of the `fedpact` command. Exits with a code from docs/exit-codes.md."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        command()(args=given)
    except FedpactError as error:
        if "--debug" in given:
            traceback.print_exception(error)
        else:
            typer.echo(f"fedpact: {' '.join(str(error).split())}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
