"""Studies without a configuration file: each has its own command and writes its own JSON files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StandaloneStudy:
    """A study run as a whole by `python -m lab NAME`."""

    name: str
    title: str
    results: str
    """Glob pattern of its result files in the folder of results."""
    page: str
    """What the index links to, relative to the folder of results."""
    report: Callable[[Path], Sequence[Path]] | None = None
    """Writes pages and plots into the folder of results and returns their paths; None if the
    command itself writes all there is to see."""
    missing: Callable[[Path], Sequence[str]] | None = None
    """Names of the rows that a run of the whole study makes and a result file lacks; None if its
    command writes all rows at once."""

    def files(self, folder: Path) -> list[Path]:
        """Its result files, sorted by path."""
        return sorted(folder.glob(self.results))

    def state(self, folder: Path) -> str:
        """The number of result files, or what is missing and the command that makes it."""
        files, command = self.files(folder), f"python -m lab {self.name}"
        if not files:
            return f"not run: {command}"
        missing = [row for file in files for row in self.missing(file)] if self.missing else []
        if missing:
            rows = "row" if len(missing) == 1 else "rows"
            return f"{len(missing)} {rows} not run ({', '.join(missing)}): {command}"
        return "complete" if len(files) == 1 else f"complete: {len(files)} runs"
