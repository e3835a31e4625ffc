"""`fedpact provider privacy`: privacy spent and left, and checks of the ledger file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli import session
from fedpact.cli.options import PolicyFile
from fedpact.cli.output import AsJson, print_facts, print_rows

if TYPE_CHECKING:
    from fedpact.privacy.ledger.report import ReleaseId
    from fedpact.provider.policy import Policy
    from fedpact.session import Session

app = typer.Typer(help="Inspect and move the privacy ledger.", no_args_is_help=True)

Delta = Annotated[float, typer.Option(help="Delta at which epsilon is shown.")]


@app.command()
def show(context: typer.Context, delta: Delta = 1e-5, as_json: AsJson = False) -> None:
    """Show what the most charged privacy unit has spent.

    Also shows on how many releases; with --json, also what each data set was charged.

    Example: fedpact --account alice provider privacy show --delta 1e-5
    """
    from fedpact.provider.ledger.report import privacy_spent

    at = session.of(context)
    found = privacy_spent(at.settings.state, at.keys, delta)
    print_facts(
        {
            "epsilon": found.cost.epsilon,
            "epsilon_replacement": found.cost.epsilon_replacement,
            "delta": found.cost.delta,
            "unit": found.cost.unit,
            "accountant": found.cost.accountant,
            "covers": "all noised releases of this account in this ledger",
            "releases": found.releases,
            "requests": found.requests,
            "requests_under_way": found.under_way,
            "data_sets": {name: cost.epsilon for name, cost in found.data_sets.items()}
            if as_json
            else len(found.data_sets),
        },
        as_json=as_json,
    )


@app.command()
def limit(
    context: typer.Context,
    policy: PolicyFile,
    as_json: AsJson = False,
) -> None:
    """Show the policy's limits and what is left.

    The lifetime budget left is that of the most charged unit; where the policy lists several data
    sets, also that of each.

    Example: fedpact --account alice provider privacy limit --policy policy.toml
    """
    from fedpact.privacy.lifetime_budget import PrivacyLimit
    from fedpact.provider.ledger.report import privacy_standing
    from fedpact.provider.policy import Policy

    at = session.of(context)
    allowed = Policy.read(policy)
    if allowed.data:
        return _print_limits_of(at, allowed, as_json=as_json)
    for_life = PrivacyLimit(allowed.epsilon_lifetime, allowed.delta)
    found = privacy_standing(at.settings.state, at.keys, for_life)
    print_facts(
        {
            "epsilon_lifetime": allowed.epsilon_lifetime,
            "epsilon_per_request": allowed.epsilon_per_request,
            "delta": allowed.delta,
            "epsilon_spent": found.spent.epsilon,
            "epsilon_promised": found.promised.epsilon,
            "epsilon_left_for_one_request": found.left,
            "unit": found.spent.unit,
            "accountant": for_life.accountant,
        },
        as_json=as_json,
    )


def _print_limits_of(at: "Session", allowed: "Policy", *, as_json: bool) -> None:
    from fedpact.provider.data_sets import listed
    from fedpact.provider.ledger.report import privacy_standing

    rows = []
    for one in listed(allowed, None, None):
        found = privacy_standing(at.settings.state, at.keys, one.limit, one.schema.data_id)
        rows.append(
            {
                "data": one.name,
                "data_id": one.schema.data_id,
                "epsilon_lifetime": one.policy.epsilon_lifetime,
                "epsilon_per_request": one.policy.epsilon_per_request,
                "delta": one.policy.delta,
                "epsilon_spent": found.spent.epsilon,
                "epsilon_promised": found.promised.epsilon,
                "epsilon_left_for_one_request": found.left,
            }
        )
    print_rows(rows, as_json=as_json, empty="no data sets")


@app.command()
def export(
    context: typer.Context,
    output: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Write the ledger's passport.

    With it another machine knows what privacy was spent.

    Signed by the account. It holds no record and no model; the owner's key is sealed to it.
    Stop the daemon before you move: what it releases later is not in the file.

    Example: fedpact --account alice provider privacy export alice.passport.json
    """
    from fedpact.provider.ledger.passport_file import export_passport, write_passport

    at = session.of(context)
    made = export_passport(at.settings.state, at.keys)
    write_passport(output, made)
    typer.echo(f"wrote {output}: {len(made['ledger']['releases'])} releases")


@app.command("import")
def import_(
    context: typer.Context,
    passport: Annotated[Path, typer.Argument(help="A file that `export` wrote.")],
) -> None:
    """Merge a passport into this machine's ledger. No daemon of the account may run.

    Keeps every charge that either of them has; importing twice changes nothing. Refuses a passport
    of another account, or one that was altered.

    Example: fedpact --account alice provider privacy import alice.passport.json
    """
    from fedpact.provider.ledger.passport_file import import_passport

    at = session.of(context)
    merged = import_passport(at.settings.state, at.keys, passport)
    typer.echo(f"merged {merged.charges} charges and {merged.releases} releases that were new here")


@app.command()
def verify(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the ledger file against the chain.

    Compares it with this account's submissions.

    Exits with code 13 if the file is damaged, or older than the submissions on chain. If no
    Ethereum node answers, only the file is checked, and the output says so.

    Example: fedpact --account alice provider privacy verify
    """
    from fedpact.provider.ledger.report import privacy_verify

    at = session.of(context)
    found = privacy_verify(at.settings.state, at.keys, lambda: _submissions(at))
    print_facts(
        {
            "file": "intact",
            "releases": found.releases,
            "bytes_kept": found.kept,
            "submissions_on_chain": found.submissions,
            "chain": "all submissions are in the ledger"
            if found.unchecked is None
            else f"not checked: {found.unchecked}",
        },
        as_json=as_json,
    )


def _submissions(at: "Session") -> "list[tuple[ReleaseId, bytes]]":
    from fedpact.provider.ledger.submissions import submissions

    return submissions(at.client, at.keys.address)
