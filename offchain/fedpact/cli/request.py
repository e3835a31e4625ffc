"""`fedpact request`: publish, follow, fetch, answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli import resale, session
from fedpact.cli.options import RequestId
from fedpact.cli.output import AsJson, ether, print_facts, print_json, print_rows, write_text

if TYPE_CHECKING:
    from fedpact.requester import RequestProgress
    from fedpact.session import Session

app = typer.Typer(help="Request models, follow requests, use the results.", no_args_is_help=True)

app.command()(resale.offers)
app.command()(resale.buy)


@app.command()
def create(
    context: typer.Context,
    draft: Annotated[Path, typer.Argument(help="Draft of the specification (TOML or JSON).")],
    evaluation: Annotated[
        Path, typer.Option(help="Evaluation set, in a format listed in docs/own-data.md.")
    ],
    payment: Annotated[
        str, typer.Option(help="Payment into escrow, with its unit, such as '0.5 ether'.")
    ],
    queries: Annotated[
        Path | None, typer.Option(help="File with the queries; only its digest is published.")
    ] = None,
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
    as_json: AsJson = False,
) -> None:
    """Publish a request and pay its escrow.

    If a finished result for the same question is for sale, the command shows it first and asks
    before it publishes. If interrupted, run the same command again: it continues where it stopped
    and pays only once.

    Example: fedpact --account bob request create draft.toml --evaluation held-out.csv --payment '1 ether'
    """  # noqa: E501
    from fedpact.requester.amount import parse_amount
    from fedpact.requester.draft import Draft
    from fedpact.retrieval.record import RetrievalRecord

    at = session.of(context)
    wei = parse_amount(payment)
    asked = Draft.read(draft).with_columns_of(evaluation)
    found = None if from_search is None else RetrievalRecord.read(from_search)
    if not fresh and not resale.propose(at.requester.offers(asked, queries)):
        return
    request_id = at.requester.create(asked, evaluation, wei, queries=queries, retrieval=found)
    print_facts({"request": request_id, "payment_wei": wei}, as_json=as_json)
    if follow:
        _follow(at, request_id, as_json)


@app.command()
def status(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Show the status of a request.

    Example: fedpact --account bob request status 1
    """
    from fedpact.requester.follow import progress
    from fedpact.requester.listing import look

    client = session.of(context).client
    print_facts(_facts(progress(*look(client, request_id))), as_json=as_json)


@app.command()
def show(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Show a request's specification, and what its epsilon means.

    Example: fedpact request show 1
    """
    from fedpact.learning.families import privacy_statement
    from fedpact.requester.listing import specification_of

    at = session.of(context)
    spec = specification_of(at.client, at.store, request_id)
    if as_json:
        asked = spec.model_dump(mode="json")
        asked["privacy"]["statement"] = privacy_statement(spec)
        print_json({"request": request_id, "specification": asked})
        return
    facts = {
        "request": request_id,
        "title": spec.title,
        "category": spec.category,
        "task": spec.task,
        "family": spec.family.name,
        "strategy": spec.strategy.name,
        "aggregation": spec.aggregation.name,
        "rounds": spec.rounds,
        "providers": f"{spec.min_providers} to {spec.max_providers}",
        "privacy": privacy_statement(spec),
        "resale": "no" if spec.resale is None else f"for {ether(spec.resale.price)} ether",
    }
    print_facts(facts, as_json=False)


@app.command()
def follow(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Follow a request until the model is delivered, and open each round's evaluation slice.

    Ctrl-C stops it; it can be started again at any time. Rounds cannot be judged while it is
    stopped. With --json, prints one JSON object per line.

    Example: fedpact --account bob request follow 1
    """
    _follow(session.of(context), request_id, as_json)


@app.command()
def fetch(
    context: typer.Context,
    request_id: RequestId,
    output: Annotated[
        Path | None,
        typer.Option(help="File for the model (.safetensors). Default: in the state folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch and decrypt a delivered or bought model, with a JSON file that describes it.

    Example: fedpact --account bob request fetch 1 --output digits.safetensors
    """
    model = session.of(context).requester.fetch(request_id, output)
    facts = model.facts()
    del facts["specification"]
    print_facts({"file": str(model.path), **facts}, as_json=as_json)


@app.command()
def answer(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Number of a fetched request, or a model file.")],
    queries: Annotated[
        Path,
        typer.Argument(
            help="File with the queries: .csv, .npz with x, or .txt with one text per line."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Output file, .csv or .json. Default: standard output."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a file of queries with a fetched model: label, probability, model quality.

    Also reports whether these are the queries that the request was made for.

    Example: fedpact --account bob request answer digits.safetensors queries.csv --output answers.csv
    """  # noqa: E501
    from fedpact.requester import fetch
    from fedpact.requester.answer import answer_file, as_text
    from fedpact.requester.queries import were_asked

    at = session.of(context)
    path = at.requester.model_path(int(model)) if model.isdecimal() else Path(model)
    answers = answer_file(path, queries)
    asked = were_asked(queries, fetch.specification(path))
    typer.echo(
        "these are the request's own queries"
        if asked
        else "these are not the queries that the request was made for",
        err=True,
    )
    text = as_text(answers, as_json=as_json or (output is not None and output.suffix == ".json"))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(output, text)
        typer.echo(f"wrote {len(answers)} answers to {output}")


@app.command()
def cancel(context: typer.Context, request_id: RequestId) -> None:
    """Cancel a request before it starts or between rounds. Rounds already judged stay paid.

    Example: fedpact --account bob request cancel 1
    """
    session.of(context).requester.cancel(request_id)
    typer.echo(f"cancelled request {request_id}")


@app.command()
def refund(context: typer.Context, request_id: RequestId) -> None:
    """Take back what the providers did not earn, or a purchase whose key did not arrive.

    Example: fedpact --account bob request refund 1
    """
    amount = session.of(context).requester.refund(request_id)
    typer.echo(f"refunded {ether(amount)} ether from request {request_id}")


@app.command("list")
def list_(
    context: typer.Context,
    everybody: Annotated[
        bool, typer.Option("--all", help="List all requests, not only this account's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List requests, oldest first.

    Example: fedpact request list --all --json
    """
    from fedpact.requester.listing import requests

    at = session.of(context)
    account = None if everybody else at.address()
    rows = [
        {
            "request": one.request_id,
            "requester": one.requester,
            "status": one.status.name.lower(),
            "round": one.round,
            "rounds": one.rounds,
            "payment_wei": one.payment,
        }
        for one in requests(at.client, account)
    ]
    print_rows(rows, as_json=as_json, empty="no requests")


def _follow(at: "Session", request_id: int, as_json: bool) -> None:
    from fedpact.errors import NotReady
    from fedpact.types.rounds import RequestStatus

    def report(progress: "RequestProgress") -> None:
        if as_json:
            print_json(_facts(progress), indent=None)
        else:
            typer.echo(_line(progress))

    interval = at.settings.poll_interval
    end = at.requester.follow(request_id, report, poll_interval=interval)
    if end.status is not RequestStatus.DELIVERED:
        raise NotReady(
            f"request {request_id} ended ({end.status.name.lower()}) without a model: "
            f"take back the rest with `fedpact request refund {request_id}`"
        )


def _facts(progress: "RequestProgress") -> dict[str, Any]:
    return {
        "request": progress.request_id,
        "status": progress.status.name.lower(),
        "round": progress.round,
        "stage": progress.stage.name.lower(),
        "joined": progress.joined,
        "submitted": progress.submitted,
        "final_rounds": progress.final_rounds,
        "note": progress.note,
    }


def _line(progress: "RequestProgress") -> str:
    where = f"round {progress.round}, {progress.stage.name.lower()}" if progress.round else "open"
    line = (
        f"{progress.status.name.lower()}: {where}; {progress.joined} providers, "
        f"{progress.submitted} models submitted, {progress.final_rounds} rounds final"
    )
    return f"{line} - {progress.note}" if progress.note else line
