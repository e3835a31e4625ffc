"""Deploy through Ape: `ape run ape_deploy --network ethereum:local:http://127.0.0.1:8545 ...`.

Any network that Ape knows will do. The account is one of fedpact's own key stores, and the
contracts are those that the package carries: this and `fedpact deploy` run the same code.
"""

import sys
from pathlib import Path

import click
from ape import networks
from ape.cli import ConnectedProviderCommand

from fedpact import settings
from fedpact.chain import deployment_file, keystore
from fedpact.chain.connection import Connection
from fedpact.chain.deploy import ETHER_UNIT, deploy_contracts, parameters_for
from fedpact.errors import FedpactError


@click.command(cls=ConnectedProviderCommand)
@click.option(
    "--account", help="Name or address of the key store; its account is registrar and guardian."
)
@click.option("--keystore", "folder", type=click.Path(path_type=Path), help="Folder of key stores.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Else FEDPACT_PASSWORD.")
@click.option("--out", type=click.Path(path_type=Path), help="Deployment file to write.")
@click.option(
    "--reputation-unit",
    type=click.IntRange(min=1),
    default=ETHER_UNIT,
    show_default=True,
    help="Wei of payment that give an outcome weight 1.",
)
def cli(
    account: str | None,
    folder: Path | None,
    password_file: Path | None,
    out: Path | None,
    reputation_unit: int,
) -> None:
    """Deploy the contracts and write the deployment file."""
    try:
        chosen = settings.load(
            flags={
                "account": account,
                "keystore": folder,
                "password_file": password_file,
                "deployment": out,
                "endpoint": networks.provider.http_uri,
            }
        )
        path = chosen.deployment
        chain = Connection.connect(chosen.endpoint, None)
        deployment_file.require_writable(path)
        name = chosen.chosen_account()
        password = keystore.read_password(
            chosen.password_file, lambda: click.prompt(f"Password of {name}", hide_input=True)
        )
        keys = keystore.unlock(chosen.keystore, name, password)
        owner = keys.address
        parameters = parameters_for(chain, owner, owner, ether_unit=reputation_unit)
        made = deploy_contracts(chain, keys, parameters)
        deployment_file.save(made, path)
    except FedpactError as error:
        click.echo(f"fedpact: {error}", err=True)
        sys.exit(error.exit_code)
    for name, address in made.contracts.items():
        click.echo(f"{name:19} {address}")
    click.echo(f"written             {path}")
