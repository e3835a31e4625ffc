"""`fedpact init`: files to fill in."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")] = Path(),
) -> None:
    """Write settings, policy, schema and draft to fill in.

    Every field has a comment. A file that exists is never changed.

    Each is made from what the program reads. `fedpact data doctor` drafts a better schema from the
    data, `fedpact request new` a better draft.

    Example: fedpact init provider
    """
    from fedpact.cli.init_files import starting_files
    from fedpact.errors import StorageUnavailable

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in starting_files().items():
            path = folder / name
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
            except FileExistsError:
                typer.echo(f"kept {path}: it exists")
            else:
                typer.echo(f"wrote {path}")
    except OSError as error:
        raise StorageUnavailable(f"folder {folder}: {error.strerror}") from error
