"""`fedpact register`."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session


def register(
    context: typer.Context,
    voucher: Annotated[Path, typer.Option(help="Voucher file from the registrar.")],
    category: Annotated[
        list[str] | None,
        typer.Option(help="Category of the data, such as images/digits; repeatable."),
    ] = None,
) -> None:
    """Register your account with a voucher.

    Also publishes its encryption key and data profile.

    Example: fedpact --account alice register --voucher voucher.json --category images/digits
    """
    from fedpact.operator import participants

    at = session.of(context)
    participants.register(at.client, at.store, at.keys, voucher, tuple(category or ()))
    typer.echo(f"registered {at.keys.address}")
