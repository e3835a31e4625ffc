"""A private chain for trying things out."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts

app = typer.Typer(help="A private chain (Anvil) on this machine.", no_args_is_help=True)


@app.command()
def up(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1.")] = 8545,
    block_time: Annotated[
        float, typer.Option(help="Seconds from one empty block to the next.")
    ] = 1,
    fund: Annotated[
        list[str] | None, typer.Option(help="Account (name or address) to give 1,000 ether.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a chain that goes on until `fedpact devnet down`.

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
    """End the chain that `fedpact devnet up` started; all that was on it is gone.

    Example: fedpact devnet down
    """
    from fedpact.operator import devnet as devnets

    stopped = devnets.stop(_folder(session.of(context).settings.state))
    typer.echo(f"ended {stopped.url}")


def _folder(state: Path) -> Path:
    return state / "devnet"
