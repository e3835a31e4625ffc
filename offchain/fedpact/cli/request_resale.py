"""`fedpact request offers` and `fedpact request buy`: finished results for resale."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli import session
from fedpact.cli.options import RequestId
from fedpact.cli.output import AsJson, amount, print_facts, print_json

if TYPE_CHECKING:
    from fedpact.requester import Offer
    from fedpact.session import Session
    from fedpact.types.currency import Currency
    from fedpact.types.specification import Specification


def offers(
    context: typer.Context,
    asked: Annotated[
        str,
        typer.Argument(
            help="Draft of the specification (TOML or JSON), or number of a request.",
            metavar="DRAFT|REQUEST",
        ),
    ],
    queries: Annotated[
        Path | None, typer.Option(help="File with the queries, if the request would have one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List finished results for the same question.

    Shows evidence of their quality.

    The error was measured by the committee that made the result, on the first requester's
    evaluation set. Colluding accounts can fake a good result, so the list also shows its cost, the
    number of organisations behind it and their reputation.

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
    request_id: RequestId,
    most: Annotated[
        str | None,
        typer.Option(
            help="Highest price to pay, with its unit, such as '0.1 ether', or with the symbol of"
            " the request's token. Default: any price."
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until a member has sealed the key.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Buy a finished result. The price goes to the providers that made it, by their points.

    One of them then seals the model's key to this account: `fedpact request fetch` gets the model.
    If none does by the deadline, `fedpact request refund` takes the money back. A wrong key is
    disputed, by this command with --wait and by `fedpact requester serve`.

    Example: fedpact --account carol request buy 1 --most '0.1 ether' --wait
    """
    from fedpact.requester.amount import amount_in

    at = session.of(context)
    currency = _pays_in(at, request_id)
    limit = None if most is None else amount_in(currency, most)
    bought = at.requester.buy(request_id, limit)
    price = amount("price", bought.price, currency, as_json=as_json)
    until = bought.deadline if as_json else _clock(bought.deadline)
    print_facts({"request": request_id, **price, "deadline": until}, as_json=as_json)
    if not (wait or as_json):
        typer.echo(f"once a member has sealed its key: `fedpact request fetch {request_id}`")
    if wait:
        at.requester.await_key(request_id, poll_interval=at.settings.poll_interval)
        if not as_json:
            typer.echo(f"the key has arrived: run `fedpact request fetch {request_id}`")


def _clock(seconds: int) -> str:
    """A time of the chain, in UTC."""
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def price_of(at: "Session", request_id: int, spec: "Specification") -> str:
    """The resale price that a specification names, in what the request pays in."""
    return "" if spec.resale is None else _pays_in(at, request_id).text(spec.resale.price)


def _pays_in(at: "Session", request_id: int) -> "Currency":
    from fedpact.chain.bindings.token import currency_at

    return currency_at(at.client, at.client.market.terms(request_id).token)


def show(found: "list[Offer]", *, as_json: bool, err: bool = False) -> None:
    """Print one paragraph per offer; with `err`, to standard error."""
    if as_json:
        print_json(
            [
                {**vars(one), "doubts": list(one.doubts), "currency": one.currency.symbol}
                for one in found
            ]
        )
        return
    if not found:
        typer.echo("no finished result answers this question", err=err)
    for one in found:
        typer.echo("\n".join(_lines(one)), err=err)


def _lines(one: "Offer") -> list[str]:
    error = "not measured" if one.error is None else f"{one.error / 100:.2f} %"
    return [
        f"request {one.request_id}: {one.currency.text(one.price)}, error {error}",
        f"  measured on {one.examples} examples in round {one.rounds}; age {_age(one.age)}",
        f"  privacy {one.privacy}",
        f"  made by {one.contributors} providers from {one.organisations} organisations, mean "
        f"reputation {one.reputation}, for {one.currency.text(one.payment)}, {one.points} points",
        *([f"  usage rules: {one.usage_rules}"] if one.usage_rules else []),
        *(f"  doubt: {doubt}" for doubt in one.doubts),
        *([f"  not for sale: {one.refusal}"] if one.refusal else []),
    ]


def propose(found: "list[Offer]") -> bool:
    """Show results for sale and ask whether to publish a new request; True: publish it.

    Raises InvalidInput if there is no terminal to ask on.
    """
    from fedpact.errors import InvalidInput

    fitting = [one for one in found if not one.refusal]
    if not fitting:
        return True
    typer.echo("finished results that answer the same question:", err=True)
    show(fitting, as_json=False, err=True)
    if not sys.stdin.isatty():
        number = fitting[0].request_id
        raise InvalidInput(
            f"request {number} answers the same question: buy its result "
            f"(`fedpact request buy {number}`), or publish a new request with --fresh"
        )
    return typer.confirm("Publish a new request anyway?", err=True)


def _age(seconds: int) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
