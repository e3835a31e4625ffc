"""Arguments and options that several commands share, so that each has one help text."""

from pathlib import Path
from typing import Annotated

import typer

RequestId = Annotated[int, typer.Argument(help="Number of the request.", metavar="REQUEST")]
ServedData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Your data: a file or folder in a format listed in docs/data.md. Default: the data "
        "sets that the policy lists.",
    ),
]
PolicyFile = Annotated[Path, typer.Option(help="The daemon's policy file (TOML).")]
DataFile = Annotated[
    Path, typer.Argument(help="A file or folder in a format listed in docs/data.md.")
]
Category = Annotated[
    str, typer.Option(help="Category of the data, as in requests, such as images/digits.")
]
LabelColumn = Annotated[
    str | None, typer.Option(help="Column of a table with the labels. Default: label.")
]
OutputColumn = Annotated[
    str | None, typer.Option(help="Column of a table with the numbers to predict (regression).")
]
