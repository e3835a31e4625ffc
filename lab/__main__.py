"""`python -m lab`: one line for an error, and an exit code of docs/exit-codes.md."""

import sys

import typer

from fedpact.errors import FedpactError
from lab.command import app

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as in shells."""


def run(arguments: list[str] | None = None) -> None:
    """Run the command; ends the process."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=given, prog_name="python -m lab")
    except FedpactError as error:
        typer.echo(f"lab: {' '.join(str(error).split())}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    run()
