"""`fedpact provider`: the daemon, its status, its pay."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli import provider_privacy, provider_profile, session
from fedpact.cli.options import PolicyFile, RequestId, ServedData
from fedpact.cli.output import AsJson, Plain, amount, live_console, print_facts, print_rows

if TYPE_CHECKING:
    from rich.console import Console

    from fedpact.exchange.gossip import Exchange
    from fedpact.provider.serve import Watching
    from fedpact.session import Session

app = typer.Typer(help="Provide models trained on your data.", no_args_is_help=True)
app.add_typer(provider_privacy.app, name="privacy")
app.add_typer(provider_profile.app, name="profile")

SchemaFile = Annotated[
    Path | None,
    typer.Option(help="The data's schema (TOML); by default DATA.schema.toml beside them."),
]
NewData = Annotated[
    bool,
    typer.Option(
        "--new-data", help="The data are new, although they look like data already charged."
    ),
]


@app.command()
def serve(
    context: typer.Context,
    policy: PolicyFile,
    data: ServedData = None,
    schema: SchemaFile = None,
    new_data: NewData = False,
    only_daemon: Annotated[
        bool,
        typer.Option(
            "--only-daemon",
            help="No other daemon of this account runs: skip the wait that checks it.",
        ),
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object a line.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Decide and explain; send, store and charge nothing."),
    ] = False,
    plain: Plain = False,
) -> None:
    """Run the daemon.

    It joins requests that the policy allows, trains, votes, and is paid.

    On a terminal it shows the rounds that it takes part in, below its log.

    Ctrl-C or SIGTERM stops it, SIGHUP makes it read the policy again. The data need a schema, which
    says what is public about them: see `fedpact data doctor`. A policy may list several data sets
    ([[data]]): a request is served with the first one that fits.

    Example: fedpact --account alice provider serve --policy policy.toml --data own.csv
    """
    from fedpact.logs import log_to_stderr
    from fedpact.provider.serve import ServedFiles, rehearse
    from fedpact.provider.serve import serve as run_daemon

    at = session.of(context)
    log_to_stderr(at.settings.log_level, as_json=log_json)
    offer = ServedFiles(policy, data, schema, new_data, only_daemon)
    if dry_run:
        rehearse(at.settings, at.keys, offer)
    else:
        console = None if log_json else live_console(plain=plain)
        run_daemon(at.settings, at.keys, offer, watching=_watching(at, console))


def _watching(at: "Session", console: "Console | None") -> "Watching | None":
    """A live view beside the daemon, where there is a terminal."""
    from fedpact.types.deployment import SecondDeployment

    if console is None:
        return None
    from fedpact.dashboard.terminal.provider import provider_shown

    def watching(
        deployment: SecondDeployment, exchange: "Exchange"
    ) -> AbstractContextManager[None]:
        if deployment.is_large:
            return nullcontext()  # Of large rounds there is no picture.
        return provider_shown(console, at.settings, deployment, at.address(), exchange)

    return watching


@app.command()
def check(
    context: typer.Context,
    policy: PolicyFile,
    data: ServedData = None,
    schema: SchemaFile = None,
    new_data: NewData = False,
    as_json: AsJson = False,
) -> None:
    """Check all that serving needs; list every problem.

    It looks at keys, nodes, admission, store, data, ledger, disk and clock. Nothing is sent or
    changed.

    Exits with code 2 if there is a problem. A daemon may be running.

    Example: fedpact --account alice provider check --data own.csv --policy policy.toml
    """
    from fedpact.errors import SettingsError
    from fedpact.provider.preflight import Preflight
    from fedpact.provider.serve import ServedFiles
    from fedpact.provider.startup_checks import Level

    at = session.of(context)
    findings = Preflight(
        at.settings, lambda: at.keys, ServedFiles(policy, data, schema, new_data)
    ).run()
    rows = [{"what": one.name, "finding": one.level.value, "why": one.said} for one in findings]
    print_rows(rows, as_json=as_json, empty="nothing was checked")
    problems = sum(one.level is Level.PROBLEM for one in findings)
    if problems:
        raise SettingsError(f"cannot serve: {problems} problems")


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """List the requests seen, with the daemon's decisions.

    Example: fedpact --account alice provider status --json
    """
    from fedpact.provider.overview import standing

    at = session.of(context)
    seen = standing(at.client, at.settings.state, at.address())
    rows = [
        {
            "request": one.request_id,
            "standing": one.standing,
            "reason": one.reason,
            "status": one.stage,
            "round": one.round,
            **amount("claimable", one.claimable, one.currency, as_json=as_json),
        }
        for one in seen
    ]
    print_rows(rows, as_json=as_json, empty="no requests seen yet")


@app.command()
def claim(
    context: typer.Context,
    request_id: RequestId,
    for_: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            help="Pay this member (address or name) instead of this account; repeatable.",
        ),
    ] = None,
) -> None:
    """Claim the pay for one request.

    The daemon collects its pay and its share in resales of the result by itself, and so does this
    command. It settles a request that is due, which pays the members of pools of up to sixteen, and
    pays members of larger pools. It also withdraws what the market kept for the account.

    Example: fedpact --account alice provider claim 1
    """
    from fedpact.provider.claim import claim as collect

    at = session.of(context)
    others = [at.address_of(one) for one in for_ or ()]
    for one in collect(at.client, at.keys, request_id, others):
        kept = " (not taken: the market keeps it)" if one.credited else ""
        typer.echo(
            f"request {request_id} paid {one.currency.text(one.amount)} to {one.account}{kept}"
        )


@app.command()
def personal(
    context: typer.Context,
    request_id: RequestId,
    data: Annotated[
        Path, typer.Option(help="Your data: a file or folder in a format listed in docs/data.md.")
    ],
    schema: SchemaFile = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write, .safetensors. Default: in the account's state folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train your own model of a Ditto request.

    It is trained from the last global model and your records.

    The command first trains on three in four records, and measures this model and the global one
    on the others, so that you see which kind serves you better. The model in the file is trained
    on all. `fedpact request answer FILE QUERIES` answers with it.

    The file may reveal your records: it stays on this machine, readable by you alone. Nothing is
    published or charged. A daemon may be running; the request may be under way or over, as long as
    the content store has its last global model.

    Example: fedpact --account alice provider personal 1 --data own.csv
    """
    from fedpact.data.declared import DeclaredData
    from fedpact.learning.artefact import encode
    from fedpact.learning.devices import resolved
    from fedpact.provider.data_sets import declared_schema
    from fedpact.provider.files import personal_model_file
    from fedpact.provider.personal import PRIVACY, train_personal
    from fedpact.requester import model_file

    at = session.of(context)
    if output is not None:
        fingerprint = at.deployment.fingerprint.hex()
        model_file.check_output(output, request_id, fingerprint, personal=True)
    declared = declared_schema(data, schema)

    def report(done: int, passes: int) -> None:
        typer.echo(f"finished local training {done} of {passes}", err=True)

    found = train_personal(
        at.client,
        at.keys,
        at.store,
        request_id,
        lambda: DeclaredData.read(data, declared),
        report,
        resolved(at.settings.device),
    )
    file = output or personal_model_file(at.settings.state, at.deployment, at.address(), request_id)
    model_file.write(file, encode(found.model), found.facts(), private=True)
    print_facts(
        {
            "file": str(file),
            "round": found.round,
            "trained_on": found.trained_on,
            "held_out": found.held_out,
            **found.figures(),
            "privacy": PRIVACY,
        },
        as_json=as_json,
    )


@app.command()
def backup(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    as_json: AsJson = False,
) -> None:
    """Copy keys, ledger and state into a new folder.

    Chain and store cannot restore these: key store, owner's key, privacy ledger, state. A daemon
    may be running.

    Example: fedpact --account alice provider backup /mnt/backup/alice-2026-11-29
    """
    from fedpact.provider.backup import back_up

    at = session.of(context)
    written = back_up(at.settings, at.settings.chosen_account(), at.address(), folder)
    rows = [
        {"file": str(path.relative_to(folder)), "bytes": path.stat().st_size} for path in written
    ]
    print_rows(rows, as_json=as_json, empty="nothing was written")
