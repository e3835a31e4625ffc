"""Trials before joining, side by side, so that nobody's costly request holds up another's.

A request is joined once the device, the time of its training and its ceiling have been tried, where
they are. Its requester decides how long that takes.
"""

import time
from collections.abc import Callable, Hashable
from typing import TypeVar

from fedpact.background import CLOSE_SECONDS, Background
from fedpact.errors import TrainingFailed, TrainingTooLong

BRIEF_SECONDS = 20.0
"""Seconds for which a trial runs at first: most end within a few."""

T = TypeVar("T")


class Trials:
    """Each runs briefly first. One that does not end then is begun again later, with all its time,
    one at a time and beside the brief ones, which it so delays no more. Among those that wait,
    organisations take turns."""

    def __init__(
        self, patience: float, most: int, organisation_of: Callable[[str], Hashable]
    ) -> None:
        """`patience`: as of Background. `most`: trials at the same time, at least two.
        `organisation_of`: of a requester's account."""
        self._brief, self._long = Background(patience, max(1, most - 1)), Background(patience)
        self._organisation_of = organisation_of
        self._too_long: dict[object, float] = {}
        """Those that did not end in the brief time, and when they are due."""

    def result(
        self,
        key: object,
        requester: str,
        attempt: Callable[[float], T],
        seconds: float,
        due: float,
    ) -> T | None:
        """Start a trial once per key; returns its result, or None while it waits or runs.

        `attempt` makes it, in another thread, and has until the given moment (`time.monotonic`).
        `seconds`: the longest that it may take; `due`: as `Background.result` takes it. Raises what
        `attempt` raises, and TrainingTooLong for a TrainingFailed after that moment.
        """

        def owner() -> Hashable:
            return self._organisation_of(requester)

        if key not in self._too_long:
            brief = min(seconds, BRIEF_SECONDS)
            try:
                return self._brief.result(key, lambda: lambda: _made(attempt, brief), due, owner)
            except TrainingTooLong:
                if brief == seconds:
                    raise
                self._too_long[key] = due
        found = self._long.result(key, lambda: lambda: _made(attempt, seconds), due, owner)
        if found is not None:
            del self._too_long[key]
        return found

    def at_once(self, most: int) -> None:
        """From now on, so many trials at the same time, at least two."""
        self._brief.at_once(max(1, most - 1))

    def forget(self, now: float) -> None:
        """As `Background.forget`."""
        self._brief.forget(now)
        self._long.forget(now)
        self._too_long = {key: due for key, due in self._too_long.items() if not 0 < due < now}

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """As `Background.close`, in all."""
        until = time.monotonic() + seconds
        self._brief.close(seconds)
        self._long.close(max(0.0, until - time.monotonic()))


def _made(attempt: Callable[[float], T], seconds: float) -> T:
    ends = time.monotonic() + seconds
    try:
        return attempt(ends)
    except TrainingFailed as failure:
        if isinstance(failure, TrainingTooLong) or time.monotonic() < ends:
            raise
        raise TrainingTooLong(str(failure)) from failure
