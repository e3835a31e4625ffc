"""Results that may be had again: the requester's commands `offers` and `buy`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, ether, print_facts, print_json

if TYPE_CHECKING:
    from fedpact.requester import Offer


def offers(
    context: typer.Context,
    asked: Annotated[
        str,
        typer.Argument(
            help="Draft of a specification (TOML or JSON), or number of a request.",
            metavar="DRAFT|REQUEST",
        ),
    ],
    queries: Annotated[
        Path | None, typer.Option(help="File of queries, where the draft goes with one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Finished results that answer the same, and what their quality rests on.

    The error was measured by those who made the result, on the evaluation set of the one who asked
    first. What it cost, how many organisations made it and how they stand is shown beside it: a
    result can be farmed.

    Example: fedpact --account carol request offers draft.toml
    """
    from fedpact.requester.draft import Draft

    requester = session.of(context).requester
    if asked.isdecimal():
        found = requester.offers_like(int(asked))
    else:
        found = requester.offers(Draft.read(Path(asked)), queries)
    show(found, as_json=as_json)


def buy(
    context: typer.Context,
    request_id: Annotated[int, typer.Argument(help="Number of the request.", metavar="REQUEST")],
    most: Annotated[
        str | None, typer.Option(help="The most that it may cost, such as '0.1 ether'.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Then wait until a member has sealed the key.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pay for a finished result once more; its makers are paid by their points.

    One of them then seals the model's key to this account (`fedpact request fetch`); if none has by
    the deadline, the money can be taken back (`fedpact request refund`).

    Example: fedpact --account carol request buy 1 --most '0.1 ether' --wait
    """
    from fedpact.requester.amount import parse_amount

    at = session.of(context)
    bought = at.requester.buy(request_id, None if most is None else parse_amount(most))
    facts = {"request": request_id, "price_wei": bought.price, "deadline": bought.deadline}
    print_facts(facts, as_json=as_json)
    if wait:
        at.requester.await_key(request_id, poll_interval=at.settings.poll_interval)
        if not as_json:
            typer.echo(f"the key is there: fedpact request fetch {request_id}")


def show(found: "list[Offer]", *, as_json: bool, err: bool = False) -> None:
    """A paragraph an offer; `err`: on standard error."""
    if as_json:
        print_json([{**vars(one), "doubts": list(one.doubts)} for one in found])
        return
    if not found:
        typer.echo("no finished result answers this", err=err)
    for one in found:
        typer.echo("\n".join(_lines(one)), err=err)


def _lines(one: "Offer") -> list[str]:
    error = "not measured" if one.error is None else f"{one.error / 100:.2f} %"
    privacy = "none" if one.epsilon is None else f"epsilon {one.epsilon:g}"
    return [
        f"request {one.request_id}: {ether(one.price)} ether, error {error}",
        f"  measured on {one.examples} examples in round {one.rounds}; "
        f"{_age(one.age)} old; privacy {privacy}",
        f"  made by {one.contributors} providers of {one.organisations} organisations, mean "
        f"reputation {one.reputation}, for {ether(one.payment)} ether, {one.points} points",
        *([f"  usage rules: {one.usage_rules}"] if one.usage_rules else []),
        *(f"  doubt: {doubt}" for doubt in one.doubts),
        *([f"  not to be had: {one.refusal}"] if one.refusal else []),
    ]


def propose(found: "list[Offer]") -> bool:
    """Show what can be had instead of a new request, and ask; True: a new one is wanted.

    Raises InvalidInput where nobody can be asked.
    """
    from fedpact.errors import InvalidInput

    fitting = [one for one in found if not one.refusal]
    if not fitting:
        return True
    typer.echo("finished results answer the same:", err=True)
    show(fitting, as_json=False, err=True)
    if not sys.stdin.isatty():
        number = fitting[0].request_id
        raise InvalidInput(
            f"request {number} answers the same: buy its result (`fedpact request buy {number}`), "
            "or publish a new request by --fresh"
        )
    return typer.confirm("Publish a new request all the same?", err=True)


def _age(seconds: int) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
