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

    def files(self, folder: Path) -> list[Path]:
        """Its result files, sorted by path."""
        return sorted(folder.glob(self.results))

    def state(self, folder: Path) -> str:
        """The number of result files, or the command that makes the first."""
        count = len(self.files(folder))
        if not count:
            return f"not run: python -m lab {self.name}"
        return "complete" if count == 1 else f"complete: {count} runs"
