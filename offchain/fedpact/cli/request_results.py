"""`fedpact request fetch`, `give`, `answer` and `export`: the delivered model."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.options import RequestId
from fedpact.cli.output import AsJson, print_facts
from fedpact.errors import InvalidInput


def fetch(
    context: typer.Context,
    request_id: RequestId,
    output: Annotated[
        Path | None,
        typer.Option(help="File for the model (.safetensors). Default: in the state folder."),
    ] = None,
    gift: Annotated[
        Path | None,
        typer.Option(help="File by `fedpact request give`, for another requester's result."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch and decrypt a model, and write its card.

    The model was delivered, bought or given. A JSON file describes it; the model card says how good
    it is by slice and label, how private, and where it came from.

    Example: fedpact --account bob request fetch 1 --output digits.safetensors
    """
    from fedpact.requester.model_file import card_paths

    model = session.of(context).requester.fetch(request_id, output, gift)
    facts = model.facts()
    del facts["specification"]
    if not as_json:
        del facts["decisions"]  # The card explains them.
        facts["error"] = None if model.error is None else f"{model.error / 100:.2f} %"
    card = str(card_paths(model.path)[0])
    print_facts({"file": str(model.path), "card": card, **facts}, as_json=as_json)


def give(
    context: typer.Context,
    request_id: RequestId,
    output: Annotated[Path, typer.Argument(help="File to write; whoever has it has the model.")],
) -> None:
    """Write a file with which anyone can fetch a result.

    It costs nothing, and is checked against the chain. A result that is for sale cannot be given
    away.

    Example: fedpact --account bob request give 1 gift.json
    """
    session.of(context).requester.give(request_id, output)
    typer.echo(
        f"wrote {output}: with it, `fedpact request fetch {request_id} --gift {output}` fetches the"
        " model"
    )


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
            "--id", help="Column that identifies the queries; it is copied. Default: id, if any."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a file of queries with a fetched model.

    Writes the label, each label's probability and the model's quality.

    One row for each query, in their order. Columns are matched by name. Also reports whether these
    are the queries that the request was made for.

    Example: fedpact --account bob request answer digits.safetensors queries.csv --output answers.csv
    """  # noqa: E501
    from fedpact.requester import model_file
    from fedpact.requester.answer import answer_file, as_csv, check_output, write_answers
    from fedpact.requester.answer import as_json as json_of
    from fedpact.requester.queries import were_asked

    path = _model_path(context, model)
    if output is not None:
        check_output(output, queries)
    answers = answer_file(path, queries, ids, session.of(context).settings.device)
    asked = were_asked(queries, model_file.specification(path))
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


def export(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Number of a fetched request, or a model file.")],
    output: Annotated[Path, typer.Argument(help="File to write, .onnx or .pt2 (torch.export).")],
) -> None:
    """Write a fetched model as ONNX or torch.export.

    Other programs can use the file without fedpact.

    Inputs and outputs of the files: docs/python.md.

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
