"""`fedpact provider`: the daemon, its status, its pay."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import provider_privacy, provider_profile, session
from fedpact.cli.options import DataPath, PolicyFile, RequestId
from fedpact.cli.output import AsJson, ether, print_rows

app = typer.Typer(help="Provide models trained on your data.", no_args_is_help=True)
app.add_typer(provider_privacy.app, name="privacy")
app.add_typer(provider_profile.app, name="profile")


@app.command()
def serve(
    context: typer.Context,
    data: DataPath,
    policy: PolicyFile,
    schema: Annotated[
        Path | None,
        typer.Option(help="The data's schema (TOML); by default DATA.schema.toml beside them."),
    ] = None,
    new_data: Annotated[
        bool,
        typer.Option(
            "--new-data", help="The data look like some that were charged, but are others."
        ),
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object a line.")
    ] = False,
) -> None:
    """Run the daemon: join requests that the policy allows, train, vote, lead, get paid.

    Ctrl-C or SIGTERM stops it, SIGHUP makes it read the policy again. The data need a schema, which
    says what of them is public: see `fedpact data declare`.

    Example: fedpact --account alice provider serve --data own.csv --policy policy.toml
    """
    from fedpact.logs import log_to_stderr
    from fedpact.provider.serve import serve as run_daemon

    at = session.of(context)
    log_to_stderr(at.settings.log_level, as_json=log_json)
    run_daemon(at.settings, at.keys, policy, data, schema, new_data=new_data)


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """List the requests that the daemon has seen, with its decisions.

    Example: fedpact --account alice provider status --json
    """
    from fedpact.provider.standing import standing

    at = session.of(context)
    rows = [
        {
            "request": one.request_id,
            "standing": one.standing,
            "reason": one.reason,
            "status": one.status.name.lower(),
            "round": one.round,
            "claimable_wei": one.claimable,
        }
        for one in standing(at.client, at.settings.state, at.address())
    ]
    print_rows(rows, as_json=as_json, empty="no requests seen yet")


@app.command()
def claim(
    context: typer.Context,
    request_id: RequestId,
) -> None:
    """Claim the pay for one request and for resales of its result.

    The daemon does this by itself.

    Example: fedpact --account alice provider claim 1
    """
    from fedpact.provider.standing import claim as collect

    at = session.of(context)
    amount = collect(at.client, at.keys, request_id)
    typer.echo(f"claimed {ether(amount)} ether from request {request_id}")
