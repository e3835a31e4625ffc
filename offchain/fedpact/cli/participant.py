"""Registration of one's own account."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session


def register(
    context: typer.Context,
    voucher: Annotated[Path, typer.Option(help="The registrar's voucher file.")],
    category: Annotated[
        list[str] | None, typer.Option(help="What the data is about; may be given again.")
    ] = None,
) -> None:
    """Register the account with a voucher, its encryption key and its data profile.

    Example: fedpact --account alice register --voucher voucher.json --category images/digits
    """
    from fedpact.operator import participants

    at = session.of(context)
    participants.register(at.client, at.store, at.keys, voucher, tuple(category or ()))
    typer.echo(f"registered {at.keys.address}")
