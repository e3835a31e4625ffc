"""A provider's privacy ledger: what was spent, what is left, whether the file can be trusted."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts, print_json, write_text

app = typer.Typer(help="The privacy ledger: what was spent.", no_args_is_help=True)

Delta = Annotated[float, typer.Option(help="Delta of the (epsilon, delta) to show.")]


@app.command()
def show(context: typer.Context, delta: Delta = 1e-5, as_json: AsJson = False) -> None:
    """What the most charged record has spent in all, and on how many releases.

    Example: fedpact --account alice provider privacy show --delta 1e-5
    """
    from fedpact.provider.standing import privacy_spent

    at = session.of(context)
    found = privacy_spent(at.settings.state, at.keys, delta)
    print_facts(
        {
            "epsilon": found.cost.epsilon,
            "epsilon_replacement": found.cost.epsilon_replacement,
            "delta": found.cost.delta,
            "unit": found.cost.unit,
            "accountant": found.cost.accountant,
            "covers": "all noised releases of this account from this ledger",
            "releases": found.releases,
            "requests": found.requests,
            "requests_under_way": found.under_way,
        },
        as_json=as_json,
    )


@app.command()
def limit(
    context: typer.Context,
    policy: Annotated[Path, typer.Option(help="The policy that the daemon serves by (TOML).")],
    as_json: AsJson = False,
) -> None:
    """The policy's limits, and what the lifetime's leaves for the most charged record.

    Example: fedpact --account alice provider privacy limit --policy policy.toml
    """
    from fedpact.privacy.accounting import PrivacyLimit
    from fedpact.provider.policy import Policy
    from fedpact.provider.standing import privacy_standing

    at = session.of(context)
    allowed = Policy.read(policy)
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
            "accountant": f"{found.spent.accountant}; order {for_life.order:g} decides",
        },
        as_json=as_json,
    )


@app.command()
def export(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(help="File (else standard output).")] = None,
    delta: Delta = 1e-5,
) -> None:
    """The whole ledger as JSON, without anything that tells a record.

    Example: fedpact --account alice provider privacy export --output ledger.json
    """
    import json

    from fedpact.provider.standing import privacy_export

    at = session.of(context)
    ledger = privacy_export(at.settings.state, at.keys, delta)
    if output is None:
        print_json(ledger)
    else:
        write_text(output, json.dumps(ledger, indent=2) + "\n")
        typer.echo(f"written to {output}")


@app.command()
def verify(context: typer.Context, as_json: AsJson = False) -> None:
    """Read the whole file, and hold it against this account's submissions on chain.

    Ends with code 13 where the file is damaged, or an older copy than the chain has seen. Where no
    chain answers, that half is left out and said to be.

    Example: fedpact --account alice provider privacy verify
    """
    from fedpact.provider.standing import privacy_verify

    at = session.of(context)
    found = privacy_verify(at.settings.state, at.keys, lambda: at.client)
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
