"""`fedpact request show` and `slice-keys`: what a request asks for, and who may open its slices."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.options import RequestId
from fedpact.cli.output import AsJson, print_facts, print_json
from fedpact.cli.request_resale import price_of


def show(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:
    """Show a request's specification, and what its epsilon means.

    Example: fedpact request show 1
    """
    from fedpact.learning.families import privacy_statement
    from fedpact.requester.requester import specification_of

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


def slice_keys(
    context: typer.Context,
    request_id: RequestId,
    output: Annotated[Path, typer.Option(help="File to write, readable by its owner alone.")],
) -> None:
    """Write the keys of the evaluation slices.

    An opener that the request's terms name needs them.

    Whoever has the file can read the evaluation set: send it over a private channel. The opener
    puts it into the folder of its `fedpact requester serve --slices`.

    Example: fedpact --account bob request slice-keys 1 --output request-1.json
    """
    from fedpact.requester.slice_keys import write_slice_keys

    write_slice_keys(session.of(context).requester.slice_keys(request_id), output)
    typer.echo(f"wrote the slice keys of request {request_id} to {output}")
