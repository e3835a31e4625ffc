"""Where a demo works."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console


@contextlib.contextmanager
def workspace(keep: bool, console: Console) -> Iterator[Path]:
    """A folder for all that a demo writes; deleted at its end unless it is kept."""
    folder = Path(tempfile.mkdtemp(prefix="fedpact-demo-"))
    try:
        yield folder
    finally:
        if keep:
            console.print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
