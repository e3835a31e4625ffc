"""Whether a service makes progress."""

import time

from fedpact.monitor.systemd import notify

UNWATCHED = 60.0
"""Longest gap between successful cycles, in seconds, where nothing asks for it."""
LONGEST_TROUBLE = 300.0
"""Seconds for which something beside the cycles may fail, at least, before the service counts as
not ready: a content store may be started again meanwhile."""


class Pulse:
    """When the last cycle succeeded. The cycle writes it, other threads read it."""

    def __init__(self, longest_gap: float = UNWATCHED) -> None:
        """`longest_gap`: seconds without a successful cycle after which a service counts as ill."""
        self._longest_gap = longest_gap
        self._since = time.monotonic()
        self._serving = False
        self._beaten = False
        self._held: str | None = None
        self._waits_for = "it has not begun yet"
        self._parts: dict[str, tuple[float, str]] = {}
        """When each part last went well, or had the first of its troubles since, and the last."""

    @property
    def age(self) -> float:
        """Seconds since the last cycle that succeeded, or since the start if none has."""
        return time.monotonic() - self._since

    def wait_for(self, reason: str) -> None:
        """Why it does not serve yet."""
        self._waits_for = reason

    def serving(self) -> None:
        """All checks have passed: cycles begin."""
        self._since = time.monotonic()
        self._serving = True
        notify("READY=1")

    def succeeded(self, held: str | None = None) -> None:
        """A cycle has succeeded; `held`: why the service does not do all that it is there for."""
        self._since = time.monotonic()
        self._beaten = True
        self._held = held

    def part(self, name: str, trouble: str) -> None:
        """What a part of the service beside its cycles says of its last attempt; empty: it went
        well."""
        since, before = self._parts.get(name, (0.0, ""))
        if not trouble or not before:  # many go well for minutes before they are tried again
            since = time.monotonic()
        self._parts[name] = since, trouble

    @property
    def troubles(self) -> dict[str, tuple[float, str]]:
        """By part: for how many seconds it has not gone well, 0 if it does, and what it says."""
        now = time.monotonic()
        known = dict(self._parts)  # another thread asks
        return {name: (now - since if said else 0.0, said) for name, (since, said) in known.items()}

    def turned(self) -> None:
        """The loop goes on, whether its cycle succeeded or not: what systemd's watchdog waits for.

        A node that does not answer is no reason to start a service again; a thread that hangs is.
        """
        notify("WATCHDOG=1")

    def stopping(self) -> None:
        notify("STOPPING=1")

    def ill(self) -> list[str]:
        """Why a supervisor should look at the service; empty if it is well."""
        age = self.age
        if age <= self._longest_gap:
            return []
        return [f"no cycle has succeeded for {age:.0f} s (max_cycle_age is {self._longest_gap:g})"]

    def not_ready(self) -> list[str]:
        """Why the service does not serve requests now; empty if it does."""
        if not self._serving:
            return [f"starting: {self._waits_for}", *self.ill()]
        if not self._beaten:
            return ["no cycle has succeeded yet", *self.ill()]
        longest = max(LONGEST_TROUBLE, self._longest_gap)
        parts = [
            f"{name} has failed for {seconds:.0f} s: {said}"
            for name, (seconds, said) in self.troubles.items()
            if seconds > longest
        ]
        return [*([self._held] if self._held else []), *parts, *self.ill()]
