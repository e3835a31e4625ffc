"""Studies without a configuration file: each has its own command and writes its own JSON files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StandaloneClaim:
    """A paper's claim that one way takes less of something than another, and our two figures."""

    text: str
    source: str
    setting: str
    ours: float
    base: float
    unit: str

    @property
    def verdict(self) -> str:
        if self.ours == self.base:
            return "no difference"
        return "observed" if self.ours < self.base else "opposite observed"


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
    claims: Callable[[Path], Sequence["StandaloneClaim"]] | None = None
    """A paper's claims and what a result file says of them."""
    missing: Callable[[Path], Sequence[str]] | None = None
    """Names of the rows that a run of the whole study makes and a result file lacks; None if its
    command writes all rows at once."""

    def files(self, folder: Path) -> list[Path]:
        """Its result files, sorted by path."""
        return sorted(folder.glob(self.results))

    def claimed(self, folder: Path) -> list[StandaloneClaim]:
        """All claims that its result files say something of."""
        if self.claims is None:
            return []
        return [claim for file in self.files(folder) for claim in self.claims(file)]

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
