"""One episode: its requests, one after another, while its faults strike."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fedpact.errors import FedpactError
from fedpact.types.requests import Phase, Status
from tests.chaos.schedule import Episode, Group, Strike
from tests.chaos.strikes import Striker
from tests.chaos.verdict import Verdict, judge
from tests.chaos.world import ChaosWorld, chaos_world

LOOK_SECONDS = 0.05
MOST_CREATED = 5
"""Calls of `request create`, where faults make them fail."""
GONE_SECONDS = 5.0
"""After which a request that a reorganisation took back is created again."""


class Stopped(Exception):
    """The episode cannot go on: an invariant is broken."""


Report = Callable[[str], None]


@dataclass
class Result:
    """An episode and its result, as JSON."""

    number: int
    requests: int
    kills: int
    injected: dict[str, int]
    verdict: Verdict
    ended: list[str]
    recovery: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.verdict.problems or self.ended)

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Result:
        found: dict[str, Any] = json.loads(text)
        return cls(**{**found, "verdict": Verdict(**found["verdict"])})


def play(episode: Episode, folder: Path, report: Report) -> Result:
    """Play an episode in an empty folder, which keeps the logs."""
    began = time.monotonic()
    with chaos_world(episode, folder) as world:
        striker = Striker(world)
        verdict, requests = Verdict(), 0
        try:
            world.start_all()
            report(f"windows of {world.window} s")
            played = []
            for requests in range(1, episode.requests + 1):
                played.append(_Request(world, striker, requests - 1, report).play())
            _calm(world, striker)
            verdict = judge(world, played)
        except (Stopped, FedpactError, AssertionError) as error:
            verdict.problems.append(f"{type(error).__name__}: {error}")
        finally:
            striker.close()
        injected = world.injected
        return Result(
            episode.number,
            requests,
            sum(count for name, count in injected.items() if "kill" in name),
            injected,
            verdict,
            world.ended,
            [seconds for actor in world.actors for seconds in actor.times],
            time.monotonic() - began,
        )


def _calm(world: ChaosWorld, striker: Striker) -> None:
    """Until every fault is over, everybody runs, and what the end of the request asks is done."""
    until = time.monotonic() + 2 * world.window
    while striker.busy or not all(actor.runs and actor.serving for actor in world.actors):
        if time.monotonic() > until:
            raise Stopped("a process does not serve again")
        striker.look()
        world.look(None)
        time.sleep(LOOK_SECONDS)


class _Request:
    def __init__(self, world: ChaosWorld, striker: Striker, index: int, report: Report) -> None:
        self._world, self._striker, self._report = world, striker, report
        mine = [one for one in world.episode.strikes if one.request == index]
        self._due: list[tuple[float, Strike]] = []
        self._index = index
        self._creations = [one for one in mine if one.kind.group is Group.CREATION]
        self._waiting = deque(one for one in mine if one.kind.group is not Group.CREATION)
        self._moment = ""
        self._gone_since: float | None = None

    def play(self) -> int:
        """Follow a request to its settlement; returns its id."""
        world, market = self._world, self._world.client.market
        title = f"request-{self._index + 1}"
        draft = world.write_draft(title)
        request = self._create(draft)
        last = time.monotonic()
        while True:
            self._striker.look()
            world.look(request)
            if self._is_gone(request):
                request = self._create(draft)
                continue
            if self._gone_since is not None:
                time.sleep(LOOK_SECONDS)
                continue
            over = market.request(request).status is Status.SETTLED
            moment = self._look_at(request, over)
            if moment != self._moment:
                self._moment, last = moment, time.monotonic()
                self._report(moment)
            self._strike(over)
            if over and not self._waiting and not self._due:
                return request
            if time.monotonic() - last > 2 * world.window:
                raise Stopped(f"request {request} stands still in {moment}")
            time.sleep(LOOK_SECONDS)

    def _is_gone(self, request: int) -> bool:
        """Whether a reorganisation took it back for good: this chain has no pool from which the
        transaction would return, and nobody but its requester publishes it again."""
        if self._world.client.market.request_count() >= request:
            self._gone_since = None
            return False
        self._gone_since = self._gone_since or time.monotonic()
        if time.monotonic() - self._gone_since < GONE_SECONDS:
            return False
        self._report("created again after a reorganisation")
        self._gone_since = None
        return True

    def _look_at(self, request: int, over: bool) -> str:
        """Describe the present moment; starts the faults that are due."""
        facts = self._world.client.rounds.round_facts(request)
        ended = over or facts.phase is Phase.ENDED
        now = (self._world.episode.rounds if ended else facts.round, facts.phase)
        while self._waiting and (over or self._waiting[0].moment <= now):
            one = self._waiting.popleft()
            self._due.append((time.monotonic() + (0 if over else one.delay), one))
        return f"request {request}: round {facts.round}, {facts.phase.name.lower()}"

    def _strike(self, over: bool) -> None:
        now = time.monotonic()
        due = [one for at, one in self._due if over or at <= now]
        self._due = [entry for entry in self._due if entry[1] not in due]
        for one in due:
            who = self._world.actors[one.target].name
            self._report(f"  {one.kind.name} ({who})")
            self._striker.strike(one)

    def _create(self, draft: Path) -> int:
        """Run `fedpact request create`, kill it as the schedule says, and run it again."""
        world = self._world
        before = world.client.market.request_count()
        for strike in self._creations:
            self._report(f"  {strike.kind.name}")
            self._striker.strike(strike)
            world.create_once(draft)
        self._creations.clear()
        for _ in range(MOST_CREATED):
            if world.create_once(draft) == 0:
                break
            self._striker.look()
            world.look(None)
        found = world.client.market.request_count()
        if found != before + 1:
            raise Stopped(f"{found - before} requests were created, not 1")
        return found
