"""Live progress of many cases in one bar."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lab.harness.checkpoint import Progress as RoundsDone
from lab.harness.configuration import Case
from lab.harness.runner import Found
from lab.harness.worker import Event, Failed, Finished, Skipped


@dataclass
class Board:
    """The bar moves by rounds; without a terminal, one line is printed per case."""

    bar: Progress
    task: TaskID
    total: int
    ended: int = 0
    running: dict[Case, float] = field(default_factory=dict)

    def observe(self, case: Case, event: Event | Found) -> None:
        match event:
            case Found():
                self.ended += 1
            case RoundsDone(done, total):
                self.running[case] = done / total
            case Finished() | Skipped() | Failed():
                self.running.pop(case, None)
                self.ended += 1
                if not self.bar.console.is_terminal:
                    said = type(event).__name__.lower()
                    self.bar.console.print(
                        f"{self.ended} of {self.total}: {said} {case.name}", highlight=False
                    )
        self.bar.update(
            self.task,
            completed=self.ended + sum(self.running.values()),
            description=f"{self.ended} of {self.total} cases",
            newest=case.name if case in self.running else "",
        )


@contextlib.contextmanager
def show_cases(console: Console, total: int) -> Iterator[Board]:
    """Shows the progress of `total` cases."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[newest]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield Board(bar, bar.add_task("", total=total, newest=""), total)
