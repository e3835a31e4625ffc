"""`python -m lab`: errors in one line, and the exit codes of docs/experiments.md."""

import sys

import typer

from fedpact.errors import FedpactError
from lab.command import app

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as in shells."""


def run(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit code."""
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
