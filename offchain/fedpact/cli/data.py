"""`fedpact data`: look at your own data and declare them, split public data sets."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli.options import Category, DataFile, LabelColumn, OutputColumn
from fedpact.cli.output import AsJson, print_facts, print_json, print_rows, write_text
from fedpact.errors import InvalidInput

if TYPE_CHECKING:
    from fedpact.data.doctor import Diagnosis

app = typer.Typer(
    help="Inspect and declare your data.",
    no_args_is_help=True,
)


class Decimal(StrEnum):
    POINT = "."
    COMMA = ","


@app.command()
def describe(
    path: DataFile,
    category: Category,
    label: LabelColumn = None,
    output: OutputColumn = None,
    as_json: AsJson = False,
) -> None:
    """Show what a provider publishes about its data.

    Also shows what stays on this machine.

    Example: fedpact data describe own.csv --category machines/turbofan --output cycles_left
    """
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
def doctor(
    path: DataFile,
    category: Annotated[
        str | None,
        typer.Option(help="Category of the data, as in requests. Default: the file's name."),
    ] = None,
    label: LabelColumn = None,
    output: OutputColumn = None,
    unit: Annotated[
        str | None,
        typer.Option(help="A table's column that names privacy units, or 'record'."),
    ] = None,
    decimal: Annotated[
        Decimal | None, typer.Option(help="Decimal mark, where a text file leaves it open.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="File of the schema. Default: PATH.schema.toml.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at your data, list problems, and draft a schema.

    `fedpact provider serve` reads the schema.

    Nothing is sent, and no value of a record is printed. The draft says in public what is in your
    data: review it. If a schema exists, the data are checked against it.

    Example: fedpact data doctor own.csv --category machines/turbofan --unit engine
    """
    from fedpact.data.doctor import Choices, diagnose
    from fedpact.data.schema_draft import as_toml
    from fedpact.types.schema import schema_file

    _check_columns(label, output)
    target = schema or schema_file(path)
    chosen = Choices(
        category or path.name.partition(".")[0] or "data",
        label,
        output,
        unit,
        None if decimal is None else decimal.value,
    )
    if target.exists():
        if category or label or output or unit or decimal:
            raise InvalidInput(f"{target} exists: edit it, or delete it to draft a new one")
        _check_against(path, target, as_json)
        return
    found = diagnose(path, chosen)
    if found.schema is not None:
        write_text(target, as_toml(found.schema))
    if as_json:
        shown = {name: value for name, value in asdict(found).items() if name != "schema"}
        print_json({**shown, "schema": None if found.schema is None else str(target)})
    else:
        _print_diagnosis(found)
    if found.undecided:
        raise InvalidInput(f"no schema is drafted; say {', and '.join(found.undecided)}")
    if not as_json and found.schema is not None:
        if category is None:
            typer.echo(
                f"category {chosen.category!r} is the file's name: write what requests ask for"
            )
        typer.echo(
            f"{target}: a draft. What it says is public once you serve, and was read off your "
            f"records: {found.schema.units} privacy units, the labels, and ranges and values of "
            f"{len(found.schema.inputs)} columns. Review it first."
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
    """Split a public data set for trials.

    Writes a folder per provider, an evaluation file and a test file.

    Example: fedpact data split digits --providers 4 --partition class5 --output trial
    """
    from fedpact.data.sources import load
    from fedpact.data.splitting import DataSplit, check_new, split_into

    check_new(output)
    how = DataSplit(providers, partition, seed, evaluation, allow_one_class)
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


def _print_diagnosis(found: "Diagnosis") -> None:
    facts: dict[str, Any] = {"format": found.format}
    facts |= {name: value for name, value in found.layout.items() if value not in (None, "", True)}
    facts["examples"] = found.examples
    if found.shape:
        facts["shape"] = list(found.shape)
    if found.label is not None:
        facts["label"] = found.label
    if found.classes:
        facts["labels"] = len(found.classes)
        facts["examples of a label"] = f"{found.classes[-1]} to {found.classes[0]}"
    if found.groups:
        facts["may name the privacy unit"] = list(found.groups)
    print_facts(facts, as_json=False)
    if found.columns:
        typer.echo("")
        rows = [
            {
                "column": one.name,
                "type": one.type if one.measure is None else f"{one.type} ({one.measure})",
                "missing": one.missing,
                "different": one.distinct,
                "proposed": not one.note,
            }
            for one in found.columns
        ]
        print_rows(rows, as_json=False, empty="")
    if found.warnings:
        typer.echo("")
    for warning in found.warnings:
        typer.echo(f"- {warning}")
    typer.echo("")


def _check_against(path: Path, target: Path, as_json: bool) -> None:
    from fedpact.data.declared import DeclaredData
    from fedpact.types.schema import DataSchema

    declared = DeclaredData.read(path, DataSchema.read(target))
    facts = {
        "schema": str(target),
        "privacy_units": len(set(declared.units)),
        "declared_units": declared.schema.units,
        **asdict(declared.misfits),
        "columns_not_used": list(declared.records.ignored),
    }
    print_facts(facts, as_json=as_json)


def _check_columns(label: str | None, output: str | None) -> None:
    if label is not None and output is not None:
        raise InvalidInput(
            "both --label and --output are given: use --label for classification, --output for "
            "regression"
        )
