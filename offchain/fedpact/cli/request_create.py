"""`fedpact request create`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli import request_resale, session
from fedpact.cli.output import AsJson, Plain, amount, print_facts
from fedpact.cli.request_follow import follow_to_end
from fedpact.errors import InvalidInput

if TYPE_CHECKING:
    from fedpact.requester.draft import Draft
    from fedpact.session import Session
    from fedpact.types.currency import Currency


def create(
    context: typer.Context,
    draft: Annotated[Path, typer.Argument(help="Draft of the specification (TOML or JSON).")],
    evaluation: Annotated[
        Path, typer.Option(help="Evaluation set, in a format listed in docs/own-data.md.")
    ],
    pay: Annotated[
        str,
        typer.Option(
            help="Payment into escrow, with its unit, such as '0.5 ether', or with the symbol of"
            " the draft's token."
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(help="Column of labels in the evaluation set. Default: label."),
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="File with the queries; only its digest is published.")
    ] = None,
    publish_queries: Annotated[
        bool,
        typer.Option(
            "--publish-queries",
            help="Publish the texts of the queries, and have members train on them with the answers"
            " that their own records give. Privacy mode paper alone.",
        ),
    ] = False,
    from_search: Annotated[
        Path | None,
        typer.Option(help="File from `fedpact search --output`: invites the providers found."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Follow the request to its end.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Publish even if a finished result is for sale.")
    ] = False,
    plain: Plain = False,
    as_json: AsJson = False,
) -> None:
    """Publish a request and pay its escrow.

    If a finished result for the same question is for sale, the command shows it first and asks
    before it publishes. If interrupted, run the same command again: it continues where it stopped
    and pays only once.

    Example: fedpact --account bob request create draft.toml --evaluation held-out.csv --pay '1 ether'
    """  # noqa: E501
    from fedpact.requester.draft import Draft
    from fedpact.requester.preparing import read_evaluation
    from fedpact.retrieval.search_record import RetrievalRecord

    at = session.of(context)
    asked = Draft.read(draft)
    paid, currency = _paid(at, asked, pay)
    asked, examples = read_evaluation(asked, evaluation, label)
    if publish_queries:
        if queries is None:
            raise InvalidInput("--publish-queries: name the file with --queries")
        asked = asked.publishing(queries)
    found = None if from_search is None else RetrievalRecord.read(from_search)
    if not fresh and not request_resale.propose(at.requester.offers(asked, queries)):
        return
    request_id = at.requester.create(asked, examples, paid, queries=queries, retrieval=found)
    said = amount("payment", paid, currency, as_json=as_json)
    print_facts({"request": request_id, **said}, as_json=as_json)
    if follow:
        follow_to_end(at, request_id, plain=plain, as_json=as_json)


def _paid(at: "Session", draft: "Draft", text: str) -> "tuple[int, Currency]":
    """An amount of what the draft pays in, in its smallest unit."""
    from fedpact.requester.amount import amount_in

    currency = at.requester.currency(draft)
    return amount_in(currency, text), currency
