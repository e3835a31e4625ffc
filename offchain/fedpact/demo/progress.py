"""Live progress of a request: a bar over its rounds, and its current phase."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fedpact.requester.follow import RequestProgress
from fedpact.types.requests import Status

_SAID = {
    "SUBMIT": "training: {submitted} of {joined} models submitted",
    "COMMIT": "scoring and voting",
    "REVEAL": "revealing the votes",
    "TALLY": "tallying",
    "ATTEST": "aggregating",
}


@dataclass
class RoundClock:
    """Wall-clock seconds of each round, as the requester sees them."""

    seconds: list[float] = field(default_factory=list)
    _since: float | None = None

    def tick(self, progress: RequestProgress) -> None:
        now = time.monotonic()
        if progress.round == 0:
            return
        if self._since is None:
            self._since = now
        while len(self.seconds) < progress.final_rounds:
            self.seconds.append(now - self._since)
            self._since = now


@contextlib.contextmanager
def show_progress(console: Console, rounds: int) -> Iterator[Callable[[RequestProgress], None]]:
    """A live bar on a terminal; elsewhere one line per round."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rounds"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting for providers", total=rounds)
        seen = 0

        def report(progress: RequestProgress) -> None:
            nonlocal seen
            bar.update(task, description=_phase(progress), completed=progress.final_rounds)
            if progress.final_rounds > seen and not console.is_terminal:
                console.print(f"round {progress.final_rounds} of {rounds} is final")
            seen = progress.final_rounds

        yield report


def _phase(progress: RequestProgress) -> str:
    if progress.round == 0:
        return f"waiting for providers: {progress.joined} joined"
    if progress.status is Status.OPEN:
        said = _SAID.get(progress.stage.name, progress.stage.name.lower())
        return f"round {progress.round}: " + said.format(
            submitted=progress.submitted, joined=progress.joined
        )
    return progress.status.name.lower()
