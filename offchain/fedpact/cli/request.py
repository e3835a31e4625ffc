"""`fedpact request`: publish, follow, fetch, answer, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli import new_request, report, resale, session
from fedpact.cli.options import RequestId
from fedpact.cli.output import (
    AsJson,
    Plain,
    amount,
    live_console,
    print_facts,
    print_json,
    print_rows,
)
from fedpact.cli.resale import price_of
from fedpact.errors import InvalidInput

if TYPE_CHECKING:
    from fedpact.requester import RequestProgress
    from fedpact.requester.draft import Draft
    from fedpact.session import Session
    from fedpact.types.currency import Currency

app = typer.Typer(help="Request models, follow requests, use the results.", no_args_is_help=True)

app.command()(new_request.new)
app.command()(resale.offers)
app.command()(resale.buy)
app.command()(report.report)


@app.command()
def create(
    context: typer.Context,
    draft: Annotated[Path, typer.Argument(help="Draft of the specification (TOML or JSON).")],
    evaluation: Annotated[
        Path, typer.Option(help="Evaluation set, in a format listed in docs/own-data.md.")
    ],
    payment: Annotated[
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

    Example: fedpact --account bob request create draft.toml --evaluation held-out.csv --payment '1 ether'
    """  # noqa: E501
    from fedpact.requester.draft import Draft
    from fedpact.requester.request import read_evaluation
    from fedpact.retrieval.record import RetrievalRecord

    at = session.of(context)
    asked = Draft.read(draft)
    pay, currency = _payment(at, asked, payment)
    asked, examples = read_evaluation(asked, evaluation, label)
    if publish_queries:
        if queries is None:
            raise InvalidInput("--publish-queries: name the file with --queries")
        asked = asked.publishing(queries)
    found = None if from_search is None else RetrievalRecord.read(from_search)
    if not fresh and not resale.propose(at.requester.offers(asked, queries)):
        return
    request_id = at.requester.create(asked, examples, pay, queries=queries, retrieval=found)
    said = amount("payment", pay, currency, as_json=as_json)
    print_facts({"request": request_id, **said}, as_json=as_json)
    if follow:
        _follow(at, request_id, plain=plain, as_json=as_json)


@app.command()
def status(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Show the status of a request.

    Example: fedpact --account bob request status 1
    """
    from fedpact.requester.client import progress_of

    at = session.of(context)
    progress = progress_of(at.client, at.store, request_id)
    said = {} if as_json else {"declined": progress.declined_text or None}
    print_facts({**_facts(progress), **said}, as_json=as_json)


@app.command()
def show(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Show a request's specification, and what its epsilon means.

    Example: fedpact request show 1
    """
    from fedpact.learning.families import privacy_statement
    from fedpact.requester.client import specification_of

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
        "metric": str(spec.measure),
        "rounds": spec.rounds,
        "providers": f"{spec.min_providers} to {spec.max_providers}",
        "privacy": privacy_statement(spec),
        "resale": "no" if spec.resale is None else f"for {price_of(at, request_id, spec)}",
    }
    print_facts(facts, as_json=False)


@app.command()
def follow(
    context: typer.Context, request_id: RequestId, plain: Plain = False, as_json: AsJson = False
) -> None:
    """Follow a request until the model is delivered, and open each round's evaluation slice.

    On a terminal it shows the round as it goes on: who has acted, whose turn it is,
    seconds left, error by round. Ctrl-C stops it; it can be started again at any time. Rounds
    cannot be judged while it is stopped. With --json, prints one JSON object per line.

    Example: fedpact --account bob request follow 1
    """
    _follow(session.of(context), request_id, plain=plain, as_json=as_json)


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
    """Fetch and decrypt a delivered or bought model, with a JSON file that describes it and a model
    card: how good it is by slice and label, how private, and where it came from.

    Example: fedpact --account bob request fetch 1 --output digits.safetensors
    """
    from fedpact.requester.fetch import card_paths

    model = session.of(context).requester.fetch(request_id, output)
    facts = model.facts()
    del facts["specification"]
    card = str(card_paths(model.path)[0])
    print_facts({"file": str(model.path), "card": card, **facts}, as_json=as_json)


@app.command()
def answer(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Number of a fetched request, or a model file.")],
    queries: Annotated[
        Path,
        typer.Argument(
            help="File with the queries: a table in any format of docs/own-data.md, arrays (.npz or"
            " .h5 with x), a folder of images, or .txt with one text per line."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Output file, .csv, .json or .parquet. Default: standard output."),
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            "--id", help="Column of the queries to copy, which names them. Default: id, if any."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a file of queries with a fetched model: label, each label's probability, model quality.

    One row for each query, in their order. Columns are matched by name. Also reports whether these
    are the queries that the request was made for.

    Example: fedpact --account bob request answer digits.safetensors queries.csv --output answers.csv
    """  # noqa: E501
    from fedpact.requester import fetch
    from fedpact.requester.answer import answer_file, as_csv, write_answers
    from fedpact.requester.answer import as_json as json_of
    from fedpact.requester.queries import were_asked

    path = _model_path(context, model)
    answers = answer_file(path, queries, ids)
    asked = were_asked(queries, fetch.specification(path))
    typer.echo(
        "these are the request's own queries"
        if asked
        else "these are not the queries that the request was made for",
        err=True,
    )
    if output is None:
        typer.echo(json_of(answers) if as_json else as_csv(answers), nl=False)
    else:
        write_answers(answers, output)
        typer.echo(f"wrote {len(answers)} answers to {output}")


@app.command()
def export(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Number of a fetched request, or a model file.")],
    output: Annotated[Path, typer.Argument(help="File to write, .onnx or .pt2 (torch.export).")],
) -> None:
    """Write a fetched model for other programs, which then need no fedpact: ONNX, or torch.export.

    What the files take and give: docs/python.md.

    Example: fedpact --account bob request export 1 digits.onnx
    """
    from fedpact.requester.model import Model

    writers = {".onnx": Model.to_onnx, ".pt2": Model.to_torch}
    if output.suffix not in writers:
        raise InvalidInput(f"{output}: models are exported as {', '.join(writers)}")
    writers[output.suffix](Model(_model_path(context, model)), output)
    typer.echo(f"wrote {output}")


def _model_path(context: typer.Context, model: str) -> Path:
    """Of a model named by its request's number or its file."""
    if not model.isdecimal():
        return Path(model)
    return session.of(context).requester.model_path(int(model))


@app.command()
def cancel(context: typer.Context, request_id: RequestId) -> None:
    """Cancel a request. The round under way is the last, and its models are paid for.

    Example: fedpact --account bob request cancel 1
    """
    session.of(context).requester.cancel(request_id)
    typer.echo(f"cancelled request {request_id}")


@app.command()
def refund(context: typer.Context, request_id: RequestId) -> None:
    """Take back what the providers did not earn, or a purchase whose key did not arrive.

    Settles an own request: members are paid, and a delivered model is accepted.

    Example: fedpact --account bob request refund 1
    """
    back = session.of(context).requester.refund(request_id)
    typer.echo(f"refunded {back.text} from request {request_id}")


@app.command("slice-keys")
def slice_keys(
    context: typer.Context,
    request_id: RequestId,
    output: Annotated[Path, typer.Option(help="File to write, readable by its owner alone.")],
) -> None:
    """Write the keys of a request's evaluation slices, for an opener that its terms name.

    Whoever has the file can read the evaluation set: hand it over in secret. The opener
    puts it into the folder of its `fedpact requester serve --slices`.

    Example: fedpact --account bob request slice-keys 1 --output request-1.json
    """
    from fedpact.requester.slice_keys import write_slice_keys

    write_slice_keys(session.of(context).requester.slice_keys(request_id), output)
    typer.echo(f"wrote the slice keys of request {request_id} to {output}")


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
    from fedpact.requester.client import requests

    at = session.of(context)
    account = None if everybody else at.address()
    rows = [
        {
            "request": one.request_id,
            "requester": one.requester,
            "status": one.status.name.lower(),
            "round": one.round,
            "rounds": one.rounds,
            **amount("payment", one.payment, one.currency, as_json=as_json),
        }
        for one in requests(at.client, account)
    ]
    print_rows(rows, as_json=as_json, empty="no requests")


def _payment(at: "Session", draft: "Draft", text: str) -> "tuple[int, Currency]":
    """An amount of what the draft pays in, in its smallest unit."""
    from fedpact.requester.amount import amount_in

    currency = at.requester.currency(draft)
    return amount_in(currency, text), currency


def _follow(at: "Session", request_id: int, *, plain: bool, as_json: bool) -> None:
    from fedpact.errors import NotReady
    from fedpact.types.requests import Status

    def tell(progress: "RequestProgress") -> None:
        if as_json:
            print_json(_facts(progress), indent=None)
        else:
            typer.echo(_line(progress))

    interval = at.settings.poll_interval
    requester = at.requester
    console = None if as_json else live_console(plain=plain)
    if console is not None:
        from fedpact.dashboard.terminal.live import follow_live

        end = follow_live(requester, request_id, console, interval)
    else:
        end = requester.follow(request_id, tell, poll_interval=interval)
    if not end.model:
        settled = end.status is Status.SETTLED
        rest = (
            "what was not due came back"
            if settled
            else f"take back the rest with `fedpact request refund {request_id}`"
        )
        why = f" ({end.declined_text})" if end.declined else ""
        raise NotReady(
            f"request {request_id} ended ({end.status.name.lower()}) without a model{why}: {rest}"
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
        "model": progress.model,
        "note": progress.note,
        "declined": dict(progress.declined),
    }


def _line(progress: "RequestProgress") -> str:
    where = f"round {progress.round}, {progress.stage.name.lower()}" if progress.round else "open"
    line = (
        f"{progress.status.name.lower()}: {where}; {progress.joined} providers, "
        f"{progress.submitted} models submitted, {progress.final_rounds} rounds final"
    )
    if progress.declined:
        line = f"{line}; {progress.declined_text}"
    return f"{line} - {progress.note}" if progress.note else line
