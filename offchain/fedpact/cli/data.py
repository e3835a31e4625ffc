"""`fedpact data`: describe and declare your own data, split public data sets."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fedpact.cli.options import Category, DataFile, LabelColumn, OutputColumn
from fedpact.cli.output import AsJson, print_facts, print_json, print_rows, write_text
from fedpact.errors import InvalidInput

app = typer.Typer(
    help="Describe and declare your data, split public data sets for trials.", no_args_is_help=True
)


@app.command()
def describe(
    path: DataFile,
    category: Category,
    label: LabelColumn = None,
    output: OutputColumn = None,
    as_json: AsJson = False,
) -> None:
    """Show what a provider publishes about its data, and what stays on this machine.

    Example: fedpact data describe own.csv --category machines/turbofan --output cycles_left
    """
    from dataclasses import asdict

    from fedpact.data.description import describe as look_at

    _check_columns(label, output)
    found = look_at(path, category, label, output)
    if as_json:
        private = asdict(found)
        print_json({"published": private.pop("attributes"), "private": private})
        return
    typer.echo("Published when the provider joins a request:")
    print_facts(found.attributes, as_json=False)
    typer.echo("\nPrivate, stays on this machine:")
    facts: dict[str, Any] = {
        "format": found.format,
        "records": found.records,
        "privacy units": found.units,
    }
    if found.values is not None:
        facts["values"] = "{:g} to {:g}".format(*found.values)
    if found.characters is not None:
        facts["characters per text"] = "{} to {}".format(*found.characters)
    if found.outputs is not None:
        low, median, high = found.outputs
        facts["outputs"] = f"{low:g} to {high:g}, median {median:g}"
    if found.histogram is not None:
        facts["histogram"] = [f"{name}: {count}" for name, count in found.histogram.items()]
        if len(found.histogram) == 1:
            facts["note"] = "only one label: a model cannot learn any other from this data"
    print_facts(facts, as_json=False)


@app.command()
def declare(
    path: DataFile,
    category: Category,
    label: LabelColumn = None,
    output: OutputColumn = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Column that names privacy units; record: each row is its own unit."),
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="File to write. Default: PATH.schema.toml.")
    ] = None,
) -> None:
    """Draft the schema that `fedpact provider serve` needs, for you to review.

    A schema is public: daemons decide from it, and not from records, which requests they join.

    Example: fedpact data declare own.csv --category machines/turbofan --unit engine
    """
    from fedpact.data.proposal import as_toml, propose
    from fedpact.types.schema import schema_file

    _check_columns(label, output)
    target = schema or schema_file(path)
    if target.exists():
        raise InvalidInput(f"{target} exists: edit it, or delete it to draft a new one")
    proposed = propose(path, category, label_column=label, output_column=output, unit=unit)
    write_text(target, as_toml(proposed))
    typer.echo(
        f"{target}: {proposed.units} privacy units; read off your records and public once you "
        "serve: review it first"
    )


@app.command()
def split(
    source: Annotated[str, typer.Argument(help="Name of a data set, such as digits or mnist.")],
    providers: Annotated[int, typer.Option(help="Number of providers: one folder each.", min=1)],
    partition: Annotated[
        str, typer.Option(help="iid, dir<alpha>, class<k>, sorted (by label) or group.")
    ],
    output: Annotated[Path, typer.Option(help="Folder to create; it must not exist.")],
    seed: Annotated[
        int, typer.Option(help="Random seed: the same seed gives the same files.", min=0)
    ] = 0,
    evaluation: Annotated[
        float, typer.Option(help="Share of the training part that becomes the evaluation set.")
    ] = 0.1,
    allow_one_class: Annotated[
        bool, typer.Option("--allow-one-class", help="Allow providers with a single label.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Split a public data set: a folder per provider, an evaluation file and a test file.

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
        typer.echo(f"{shared} privacy units are at several providers: each charges them separately")


def _check_columns(label: str | None, output: str | None) -> None:
    if label is not None and output is not None:
        raise InvalidInput(
            "both --label and --output are given: use --label for classification, --output for "
            "regression"
        )
