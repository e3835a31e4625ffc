"""`fedpact devnet`: a private test chain."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts

app = typer.Typer(help="Run a private test chain (Anvil) on this machine.", no_args_is_help=True)


@app.command()
def up(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1.")] = 8545,
    block_time: Annotated[
        float, typer.Option(help="Seconds between blocks when there are no transactions.")
    ] = 1,
    fund: Annotated[
        list[str] | None,
        typer.Option(help="Account (address or name) to fund with 1,000 ether; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a chain in the background.

    `fedpact devnet down` stops it.

    Example: fedpact devnet up --port 8545 --fund alice --fund bob
    """
    from fedpact.operator import devnet as devnets

    at = session.of(context)
    addresses = [at.address_of(account) for account in fund or ()]
    devnet = devnets.start(_folder(at.settings.state), port, block_time, addresses)
    print_facts(
        {"endpoint": devnet.url, "process": devnet.process, "funded": addresses}, as_json=as_json
    )


@app.command()
def down(context: typer.Context) -> None:
    """Stop the chain that `fedpact devnet up` started. Everything on it is lost.

    Example: fedpact devnet down
    """
    from fedpact.operator import devnet as devnets

    stopped = devnets.stop(_folder(session.of(context).settings.state))
    typer.echo(f"stopped {stopped.url}")


@app.command()
def market(
    folder: Annotated[
        Path, typer.Argument(help="Where to write settings and files; made if it is missing.")
    ] = Path(),
) -> None:
    """Run a market to try things on.

    It has a chain, contracts, a store, and three plants' daemons with made-up data. Ctrl-C ends it.

    Writes fedpact.toml of an account with money, machines.schema.toml, evaluation.csv and
    queries.csv, with which docs/python.md begins.

    Example: fedpact devnet market
    """
    import contextlib
    import signal
    import time

    from fedpact.demo.playground import playground

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), playground(folder) as network:
        typer.echo(f"market at {network.devnet.url}, settings in {folder / 'fedpact.toml'}")
        typer.echo("three plants serve requests; Ctrl-C ends all of it")
        while True:
            network.check_daemons()
            time.sleep(1)


def _folder(state: Path) -> Path:
    return state / "devnet"
