"""Data: what one has, and public data sets cut for trials."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fedpact.cli.output import AsJson, print_facts, print_json, print_rows
from fedpact.errors import InvalidInput

app = typer.Typer(help="Data: what one has, and trials with public sets.", no_args_is_help=True)


@app.command()
def describe(
    path: Annotated[Path, typer.Argument(help="A file or folder of any format of docs/data.md.")],
    category: Annotated[str, typer.Option(help="What the data is about, as requests say it.")],
    label: Annotated[str | None, typer.Option(help="A table's column of labels [label].")] = None,
    output: Annotated[
        str | None, typer.Option(help="A table's column of numbers to predict: a regression.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a provider would register of its data, and what stays here.

    Example: fedpact data describe own.csv --category machines/turbofan --output cycles_left
    """
    from dataclasses import asdict

    from fedpact.data.description import describe as look_at

    if label is not None and output is not None:
        raise InvalidInput("--label is for classes, --output for numbers: give one of them")
    found = look_at(path, category, label, output)
    if as_json:
        private = asdict(found)
        print_json({"published": private.pop("attributes"), "private": private})
        return
    typer.echo("Published when a request is joined:")
    print_facts(found.attributes, as_json=False)
    typer.echo("\nPrivate, shown here only:")
    facts: dict[str, Any] = {
        "format": found.format,
        "records": found.records,
        "privacy units": found.units,
    }
    if found.values is not None:
        facts["values"] = "{:g} to {:g}".format(*found.values)
    if found.characters is not None:
        facts["characters a text"] = "{} to {}".format(*found.characters)
    if found.outputs is not None:
        low, median, high = found.outputs
        facts["outputs"] = f"{low:g} to {high:g}, median {median:g}"
    if found.histogram is not None:
        facts["histogram"] = [f"{name}: {count}" for name, count in found.histogram.items()]
        if len(found.histogram) == 1:
            facts["note"] = "one label only: nothing can be learnt about any other"
    print_facts(facts, as_json=False)


@app.command()
def split(
    source: Annotated[str, typer.Argument(help="A data set by name, such as digits or mnist.")],
    providers: Annotated[int, typer.Option(help="Into how many folders.", min=1)],
    partition: Annotated[
        str, typer.Option(help="iid, dir<alpha>, class<k>, sorted (by label) or group.")
    ],
    output: Annotated[Path, typer.Option(help="Folder to make; it must not be there.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.", min=0)] = 0,
    evaluation: Annotated[
        float, typer.Option(help="Share of the training part that the requester keeps.")
    ] = 0.1,
    allow_one_class: Annotated[
        bool, typer.Option("--allow-one-class", help="Let a provider have a single label.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Cut a public data set into a folder for each provider, an evaluation and a test file.

    Example: fedpact data split digits --providers 4 --partition class5 --output trial
    """
    from fedpact.data.sources import load
    from fedpact.data.splitting import Split, check_new, split_into

    check_new(output)
    how = Split(providers, partition, seed, evaluation, allow_one_class)
    manifest = split_into(load(source, seed), how, output)
    if as_json:
        print_json(manifest)
        return
    rows = [
        {"file": one["file"], "examples": one["examples"], "units": one["units"]}
        | ({"labels": len(one["labels"])} if "labels" in one else {})
        for one in (*manifest["providers"], manifest["evaluation"], manifest["test"])
    ]
    print_rows(rows, as_json=False, empty="")
    shared = manifest["units_at_several_providers"]
    if shared:
        typer.echo(f"{shared} privacy units lie at several providers: each spends on them")
