"""The requester: publish, follow, fetch, answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli import reuse, session
from fedpact.cli.output import AsJson, ether, print_facts, print_json, print_rows, write_text

if TYPE_CHECKING:
    from fedpact.requester import RequestProgress
    from fedpact.session import Session

app = typer.Typer(help="Requests for models.", no_args_is_help=True)

app.command()(reuse.offers)
app.command()(reuse.buy)

RequestId = Annotated[int, typer.Argument(help="Number of the request.", metavar="REQUEST")]


@app.command()
def create(
    context: typer.Context,
    draft: Annotated[Path, typer.Argument(help="Draft of the specification (TOML or JSON).")],
    evaluation: Annotated[
        Path, typer.Option(help="Evaluation set (.csv with a label column, or .npz with x and y).")
    ],
    payment: Annotated[str, typer.Option(help="Payment into escrow, such as '0.5 ether'.")],
    queries: Annotated[
        Path | None, typer.Option(help="File of queries; its digest is published.")
    ] = None,
    from_search: Annotated[
        Path | None,
        typer.Option(help="What `fedpact search --output` wrote: invites those found."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Then follow it to its end.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Whether or not a finished result answers the same.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Publish a request and pay for it into escrow.

    Where a finished result that answers the same can be had, it is shown first, and nothing is
    published unless you say so. Broken off, the same command continues where it was and pays only
    once.

    Example: fedpact --account bob request create draft.toml --evaluation held-out.csv --payment '1 ether'
    """  # noqa: E501
    from fedpact.requester.amount import parse_amount
    from fedpact.requester.draft import Draft
    from fedpact.retrieval.record import RetrievalRecord

    at = session.of(context)
    wei = parse_amount(payment)
    asked = Draft.read(draft)
    found = None if from_search is None else RetrievalRecord.read(from_search)
    if not fresh and not reuse.propose(at.requester.offers(asked, queries)):
        return
    request_id = at.requester.create(asked, evaluation, wei, queries=queries, retrieval=found)
    print_facts({"request": request_id, "payment_wei": wei}, as_json=as_json)
    if follow:
        _follow(at, request_id, as_json)


@app.command()
def status(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Where a request stands.

    Example: fedpact --account bob request status 1
    """
    from fedpact.requester.follow import progress
    from fedpact.requester.listing import look

    client = session.of(context).client
    print_facts(_facts(progress(*look(client, request_id))), as_json=as_json)


@app.command()
def show(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """What a request asks for: its specification, and what its epsilon is worth.

    Example: fedpact request show 1
    """
    from fedpact.requester.listing import specification_of

    at = session.of(context)
    spec = specification_of(at.client, at.store, request_id)
    if as_json:
        asked = spec.model_dump(mode="json")
        asked["privacy"]["statement"] = spec.privacy.statement
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
        "privacy": spec.privacy.statement,
        "reuse": "no" if spec.reuse is None else f"for {ether(spec.reuse.price)} ether",
    }
    print_facts(facts, as_json=False)


@app.command()
def follow(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Open each round's evaluation slice in time, until the model is delivered.

    May be stopped by Ctrl-C and started again at any point; while it does not run, rounds go
    unjudged. With --json, one JSON object a line.

    Example: fedpact --account bob request follow 1
    """
    _follow(session.of(context), request_id, as_json)


@app.command()
def fetch(
    context: typer.Context,
    request_id: RequestId,
    output: Annotated[
        Path | None, typer.Option(help="Where to put the model (.safetensors).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch and decrypt the model, delivered or bought; a JSON file beside it says what it is.

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
        Path, typer.Argument(help="Queries: .csv, .npz with x, or a text a line (.txt).")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="File for the answers, .csv or .json (else standard output)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Apply a fetched model to a file of queries: label, probability, the model's quality.

    Says, too, whether they are the queries that the request was made for.

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
        "the request's own queries" if asked else "queries that the request was not made for",
        err=True,
    )
    text = as_text(answers, as_json=as_json or (output is not None and output.suffix == ".json"))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(output, text)
        typer.echo(f"{len(answers)} answers in {output}")


@app.command()
def cancel(context: typer.Context, request_id: RequestId) -> None:
    """Cancel before the start, or between rounds; rounds that were judged stay paid.

    Example: fedpact --account bob request cancel 1
    """
    session.of(context).requester.cancel(request_id)
    typer.echo(f"cancelled request {request_id}")


@app.command()
def refund(context: typer.Context, request_id: RequestId) -> None:
    """Take back what the providers did not earn, or was paid for a key that did not come.

    Example: fedpact --account bob request refund 1
    """
    amount = session.of(context).requester.refund(request_id)
    typer.echo(f"{ether(amount)} ether back from request {request_id}")


@app.command("list")
def list_(
    context: typer.Context,
    everybody: Annotated[
        bool, typer.Option("--all", help="All requests, not only this account's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Requests, oldest first.

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
            "see `fedpact request refund`"
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
        f"{progress.submitted} models in, {progress.final_rounds} rounds final"
    )
    return f"{line} - {progress.note}" if progress.note else line
