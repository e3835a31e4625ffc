"""A process that is killed and started again: a provider's daemon or the requester's service."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from fedpact.child_process import start_with_parent
from tests.chaos.fault_proxies import Weather


@dataclass
class Actor:
    """One process that may be stopped and started again."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str]
    weather: Weather
    process: subprocess.Popen[bytes] | None = None
    expected: bool = False
    """Whether its end is a strike's doing."""
    said: int = 0
    """Size of the log at its start."""
    began: float = 0.0
    awaited: int | None = None
    """The request that shows that it is back; None: nothing is measured."""
    times: list[float] = field(default_factory=list)
    """Seconds from starts to the first look at an open request, without faults meanwhile."""

    def start(self, awaited: int | None = None) -> None:
        with self.log.open("ab") as log:
            self.said = log.tell()
            self.process = start_with_parent(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        self.began, self.awaited, self.expected = time.monotonic(), awaited, False

    def kill(self) -> None:
        """Kill it and the trainings it started, as a power cut would."""
        self.expected = True
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def output(self) -> str:
        """Seconds since its last start."""
        with self.log.open("rb") as log:
            log.seek(self.said)
            return log.read().decode(errors="replace")

    @property
    def serving(self) -> bool:
        return "serving as" in self.output or "serving requests of" in self.output

    def look(self) -> None:
        """Record the recovery that is awaited, once it has happened."""
        if self.awaited is None:
            return
        if self.weather.active:
            self.awaited = None
        elif f"request {self.awaited}" in self.output:
            self.times.append(time.monotonic() - self.began)
            self.awaited = None

    def trainings(self) -> list[int]:
        """Ids of its training processes."""
        if not self.runs:
            return []
        assert self.process is not None
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in listed.read_text().split()] if listed.exists() else []

    def last_words(self) -> str:
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else "nothing"
