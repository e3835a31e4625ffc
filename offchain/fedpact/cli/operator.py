"""`fedpact deploy` and `fedpact registrar`: deploy contracts, admit participants."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts, print_rows, write_text
from fedpact.errors import InvalidInput
from fedpact.session import Session

if TYPE_CHECKING:
    from fedpact.chain.connection import Connection
    from fedpact.types.deployment import SecondDeployment

registrar = typer.Typer(help="Admit, suspend and restore participants.", no_args_is_help=True)

Account = Annotated[str, typer.Argument(help="Account (address or name).")]
Organisation = Annotated[int, typer.Option(help="Number of the account's organisation.")]

SECONDS_PER_DAY = 24 * 3600


def deploy(
    context: typer.Context,
    reputation_unit: Annotated[
        int | None,
        typer.Option(
            help="Payment (wei) at which a request has weight 1 in reputation. Default: 10^15."
        ),
    ] = None,
    registrar_: Annotated[
        str | None,
        typer.Option("--registrar", help="The registrar (address or name). Default: the account."),
    ] = None,
    guardian: Annotated[
        str | None,
        typer.Option(help="Guardian: may stop new requests. Default: the account."),
    ] = None,
    min_window: Annotated[
        int | None,
        typer.Option(
            help="Shortest window (s). Default: five blocks and at least 60; 1 on a local chain.",
            min=1,
        ),
    ] = None,
    delay: Annotated[
        int | None,
        typer.Option(
            help="Seconds from the registrar's announcements to their effect."
            " Default: seven days; 1 on a local chain.",
            min=1,
        ),
    ] = None,
    salt: Annotated[
        int,
        typer.Option(
            help="Gives the account's next deployment other addresses.", min=0, max=2**64 - 1
        ),
    ] = 0,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="Deploy contracts for large rounds, with the participants and reputations of this"
            " deployment file.",
        ),
    ] = None,
    draw_delay: Annotated[
        int | None,
        typer.Option(
            help="With --beside: blocks from a round's opening to the one that draws its committee."
            " Default: 4 on Ethereum, 1 on a local chain, else as many as take five minutes.",
            min=1,
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify-artifacts",
            help="Deploy nothing: compare the code at the deployment file's addresses with this"
            " package's.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deploy the contracts and write the deployment file.

    The account becomes registrar and guardian, unless others are named. An existing deployment file
    is not overwritten. The addresses are the same on every chain for the same account and salt. Run
    the command again after an interruption, or if the file was lost: it continues, or writes the
    file again.

    With --beside: contracts for large rounds, which need a deployment file of their own.

    Example: fedpact --account operator --deployment deployment.json deploy
    """
    from fedpact.chain import deployment_file as deployments
    from fedpact.chain.connection import Connection
    from fedpact.chain.deploy import (
        ETHER_UNIT,
        deploy_contracts,
        deploy_large,
        large_parameters_for,
        parameters_for,
    )

    at = session.of(context)
    path = at.settings.deployment
    if verify:
        _verify(at, as_json=as_json)
        return
    deployments.require_writable(path)
    client = Connection.connect(at.settings.endpoint, None)
    guards = at.address_of(guardian) if guardian else at.keys.address
    if beside is None:
        if draw_delay is not None:
            raise InvalidInput("--draw-delay is for large rounds: name a deployment with --beside")
        parameters = parameters_for(
            client,
            registrar=at.address_of(registrar_) if registrar_ else at.keys.address,
            guardian=guards,
            min_window=min_window,
            delay=delay,
            ether_unit=reputation_unit or ETHER_UNIT,
        )
        made = deploy_contracts(client, at.keys, parameters, salt)
    else:
        if (registrar_, delay, reputation_unit) != (None, None, None):
            raise InvalidInput(
                "--registrar, --delay and --reputation-unit are the other deployment's, which"
                f" {beside} describes: leave them out"
            )
        large = large_parameters_for(client, guards, min_window, draw_delay)
        made = deploy_large(client, at.keys, large, deployments.load_second(beside), salt)
    deployments.save(made, path)
    addresses = {
        name: getattr(made, name, None)
        for name in ("registry", "market", "rounds", "resale", "ledger", "pool", "factory")
    }
    print_facts(
        {
            "file": str(path),
            "protocol": made.protocol,
            "rounds kind": made.rounds_kind,
            "chain": made.chain_id,
            "block": made.block,
            **{name: address for name, address in addresses.items() if address is not None},
            **({"records": _records(client, made)} if made.is_large else {}),
        },
        as_json=as_json,
    )


def _records(client: "Connection", made: "SecondDeployment") -> str:
    """From when on the market of a deployment may record in the ledger that it shares."""
    from fedpact.chain.bindings.reputation import Reputation
    from fedpact.chain.deploy import recorder_from

    effective = recorder_from(client, made.ledger, made.market)
    if effective is None:
        registrar = Reputation(client, made.ledger).registrar()
        return f"not before the registrar {registrar} calls `fedpact registrar recorder`"
    if effective == 0:
        return "from the beginning"
    return f"from {datetime.fromtimestamp(effective, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _verify(at: Session, *, as_json: bool) -> None:
    from fedpact.chain.verification import verify_artifacts

    found = verify_artifacts(at.client, at.client.deployment)
    rows = [
        {"contract": one.name, "address": one.address, "parameters": list(one.parameters)}
        for one in found
    ]
    print_rows(rows, as_json=as_json, empty="no contracts")


@registrar.command()
def voucher(
    context: typer.Context,
    account: Account,
    organisation: Organisation,
    output: Annotated[Path, typer.Option(help="File to write the voucher to.")],
    days: Annotated[int, typer.Option(help="Days until the voucher expires.", min=1, max=3650)] = 7,
) -> None:
    """Sign a voucher with which one account can register.

    Example: fedpact --account operator registrar voucher 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --organisation 7 --output voucher.json
    """  # noqa: E501
    from fedpact.chain.vouchers import encode_voucher
    from fedpact.operator import participants

    at = session.of(context)
    seconds = days * SECONDS_PER_DAY
    signed = participants.new_voucher(
        at.client, at.keys, at.address_of(account), organisation, seconds
    )
    write_text(output, encode_voucher(signed))
    typer.echo(f"wrote voucher {signed.voucher.nonce} to {output}; it expires in {days} days")


@registrar.command()
def admit(
    context: typer.Context,
    account: Account,
    organisation: Organisation,
    encryption_key: Annotated[
        str,
        typer.Option(help="The account's X25519 public key, 64 hex digits (see `account show`)."),
    ],
) -> None:
    """Register an account directly, without a voucher.

    Example: fedpact --account operator registrar admit 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --organisation 7 --encryption-key 8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a
    """  # noqa: E501
    from fedpact.operator import participants

    at = session.of(context)
    address = at.address_of(account)
    participants.admit(at.client, at.keys, address, organisation, encryption_key)
    typer.echo(f"registered {account} for organisation {organisation}")


@registrar.command()
def revoke(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="Number of the voucher.")],
) -> None:
    """Revoke an unused voucher.

    Example: fedpact --account operator registrar revoke 4711
    """
    at = session.of(context)
    at.client.registry.revoke_voucher(at.keys, number)
    typer.echo(f"revoked voucher {number}")


@registrar.command()
def suspend(context: typer.Context, account: Account) -> None:
    """Bar an account from new requests.

    It takes effect after the deployment's delay. Requests that it has joined go on.

    Example: fedpact --account operator registrar suspend 0x70997970C51812dc3A010C7d01b50e0d17dc79C8
    """
    at = session.of(context)
    at.client.registry.suspend(at.keys, at.address_of(account))
    typer.echo(f"suspended {account}")


@registrar.command()
def restore(context: typer.Context, account: Account) -> None:
    """Make a suspended account active again.

    Example: fedpact --account operator registrar restore 0x70997970C51812dc3A010C7d01b50e0d17dc79C8
    """
    at = session.of(context)
    at.client.registry.restore(at.keys, at.address_of(account))
    typer.echo(f"restored {account}")


@registrar.command()
def recorder(context: typer.Context) -> None:
    """Let the deployment's market write to the reputation ledger.

    It takes effect after the ledger's delay.

    For a market that is deployed beside another one; until then its requests cannot be settled.

    Example: fedpact --account operator --deployment large.json registrar recorder
    """
    from fedpact.chain.deploy import announce_recorder

    at = session.of(context)
    made = at.client.deployment
    announce_recorder(at.client, at.keys, made, made.market)
    typer.echo(f"{made.market} records {_records(at.client, made)}")


@registrar.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List all accounts ever registered, with status and reputation.

    Example: fedpact registrar list --json
    """
    from fedpact.operator import participants

    rows = [
        {
            "account": one.account,
            "organisation": one.organisation,
            "status": one.status.name.lower(),
            "reputation": one.reputation,
            "key_version": one.key_version,
        }
        for one in participants.participants(session.of(context).client)
    ]
    print_rows(rows, as_json=as_json, empty="no registered accounts")
