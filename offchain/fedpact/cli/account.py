"""`fedpact account`: eth-account key stores on this machine."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts, print_rows

app = typer.Typer(help="Manage accounts and their keys on this machine.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option(help="Name for the account. Default: its address.")]


@app.command()
def new(context: typer.Context, name: Name = None, as_json: AsJson = False) -> None:
    """Create an account and store its encrypted key.

    Only your password opens it.

    Example: fedpact account new --name alice
    """
    from fedpact.chain import keystore

    at = session.of(context)
    password = session.new_password(at)
    keys = keystore.create_account(at.settings.keystore, password, name)
    print_facts({"name": name or keys.address, "address": keys.address}, as_json=as_json)


@app.command("import")
def import_(
    context: typer.Context,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the private key. Default: ask for it.")
    ] = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Import a private key and store it, encrypted with a password.

    Example: fedpact account import --name alice --key-file key.hex
    """
    from fedpact.chain import keystore

    at = session.of(context)
    secret = _secret(key_file)
    password = session.new_password(at)
    keys = keystore.import_account(at.settings.keystore, secret, password, name)
    print_facts({"name": name or keys.address, "address": keys.address}, as_json=as_json)


@app.command()
def remote(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Address of the account.")],
    url: Annotated[
        str, typer.Option(help="JSON-RPC of the signer (Web3Signer, Clef): URL or IPC socket.")
    ],
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Use an account whose key another program holds and signs with.

    The key store then holds a secret of its own, from which the account's encryption key and its
    other secrets are derived. The signer is asked for one signature.

    Example: fedpact account remote 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --url http://127.0.0.1:9000 --name alice
    """  # noqa: E501
    from fedpact.chain import keystore

    at = session.of(context)
    folder, account = at.settings.keystore, at.address_of(address)
    keys = keystore.remote_account(folder, url, account, session.new_password(at), name)
    print_facts({"name": name or keys.address, "address": keys.address}, as_json=as_json)


@app.command()
def password(
    context: typer.Context,
    new_password_file: Annotated[
        Path | None, typer.Option(help="File with the new password. Default: ask for it.")
    ] = None,
) -> None:
    """Change the password of the account's key store.

    Example: fedpact --account alice account password
    """
    from fedpact.chain import keystore

    at = session.of(context)
    account = at.settings.chosen_account()
    old = at.password(f"password of {account}")
    new = session.replacing_password(at, new_password_file)
    stored = keystore.change_password(at.settings.keystore, account, old, new)
    typer.echo(f"changed the password of {stored.path}")


@app.command("rotate-key")
def rotate_key(context: typer.Context, as_json: AsJson = False) -> None:
    """Register the next version of the account's encryption key.

    From now on others encrypt to the new version; what was encrypted to an old one can still be
    opened. The account's signing key stays the same: the registry cannot move an account.

    Example: fedpact --account alice account rotate-key
    """
    from fedpact.operator import participants

    at = session.of(context)
    version = participants.rotate_encryption_key(at.client, at.keys)
    public = bytes(at.keys.encryption_key(version).public_key).hex()
    print_facts(
        {"address": at.keys.address, "version": version, "encryption_key": public},
        as_json=as_json,
    )


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the accounts in the key store folder.

    Example: fedpact account list --json
    """
    from fedpact.chain import keystore

    folder = session.of(context).settings.keystore
    rows = [
        {"name": stored.name, "address": stored.address}
        for stored in keystore.list_accounts(folder)
    ]
    print_rows(rows, as_json=as_json, empty=f"no accounts in {folder}")


@app.command()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the account's address and encryption key.

    Others encrypt to this account with its X25519 public key.

    Example: fedpact --account alice account show
    """
    keys = session.of(context).keys
    public = bytes(keys.encryption_key().public_key).hex()
    print_facts({"address": keys.address, "encryption_key": public}, as_json=as_json)


def _secret(key_file: Path | None) -> str:
    from fedpact.errors import InvalidInput

    if key_file is None:
        return getpass("private key: ") if sys.stdin.isatty() else sys.stdin.readline()
    try:
        return key_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read key file {key_file}: {error}") from None
