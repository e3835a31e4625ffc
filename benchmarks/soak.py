"""Daemons over hundreds of rounds, on a chain that has many others' events: docs/results/soak.json.

    python -m benchmarks.soak --json docs/results/soak.json

Two busy providers serve request after request; a third daemon declines them
all. A first request is played and copied a thousandfold into the chain's log, as requests of others
(without their creation: they would be open, and nobody would ever end them). Then the third daemon
starts, with nothing in its state: its first scan is timed. Then the requests run. In the end blocks
come every 12 seconds, nothing is open, and the third daemon's calls are counted: where it polls its
node, and where the node pushes heads. `benchmarks.idle` does this last part alone.

The content of a request is kept no longer than the request, and pruned. Resident memory,
descriptors, threads and file sizes are sampled after each request; the first quarter of them is the
warm-up. Exits with 1 where something grows, or a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from typing import Any

import httpx

from benchmarks.copied_events import copy_events
from fedpact.child_process import start_with_parent
from fedpact.content.pruning import prune
from fedpact.demo.data import prepare
from fedpact.demo.network import free_port, running_network
from fedpact.demo.options import DemoOptions
from fedpact.provider.files import provider_folder
from fedpact.requester.requester import Requester
from fedpact.settings import Settings
from fedpact.types.requests import Status
from tests.support.world import World

BUSY, IDLE = 0, 2
PROVIDERS, MEMBERS = 3, 2
BLOCK_SECONDS = 12
WINDOW = 600
"""Seconds; nobody hurries."""
PAY = 10**17
SLOW = {"steps": 1, "learning_rate": 0.05}
"""A learning rate so low that no request reaches its target early."""
EPSILON = 2.0
"""Of a request: twenty and one cost less than the most that a lifetime may have."""
POLICY = """categories = ["{category}"]
epsilon_per_request = 4.1
epsilon_per_requester = 20.0
epsilon_lifetime = 20.0
submit_after = 0.0
min_samples = 20
"""
LONGEST_SCAN, LARGEST_SCAN = 60.0, 200.0
"""Seconds and MB for the first scan of 10^5 events."""
MOST_CALLS = 1_000
"""Of an idle daemon, an hour."""
LARGEST_IDLE = 115.0
"""MB of resident memory of a daemon that has served nothing yet."""
MEMORY_MB, HANDLES = 8.0, 2
"""What the medians of memory (MB), descriptors and threads may differ by, end against start."""
MOST_KB = 20.0
"""What files may grow by for each request: what is remembered for ever, as the ledger's entries."""
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Sample:
    """A daemon at one moment."""

    rss_mb: float
    descriptors: int
    threads: int
    files_kb: float
    """Of its state, ledger, registers and copies."""
    store_kb: float
    """Of the content store that all share."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10, help="of each request")
    parser.add_argument("--events", type=int, default=100_000, help="of others")
    parser.add_argument("--idle-minutes", type=float, default=6)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fedpact-soak-") as name:
        folder = Path(name)
        with soak_world(folder, given.rounds) as soak:
            result = soak.run(given.requests, given.events, given.idle_minutes)
    print(json.dumps(result, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    for line in soak.complaints:
        print(line)
    sys.exit(1 if soak.complaints else 0)


class Soak:
    """`complaints`: what grows, and limits that are missed."""

    def __init__(self, world: World) -> None:
        self._world = world
        network = world.network
        self._requester = Requester(
            world.client,
            network.store,
            world.requester_keys,
            network.folder / "requester",
            keep_days=0,
        )
        self._ports = [free_port() for _ in range(PROVIDERS)]
        self.complaints: list[str] = []

    def run(self, requests: int, events: int, idle_minutes: float) -> dict[str, Any]:
        """What docs/results/soak.json holds."""
        world = self._world
        daemons = [self._start(number) for number in range(MEMBERS)]
        first = self._request("the original")
        self._stop(daemons)
        began = time.monotonic()
        accounts = [keys.address for keys in (world.requester_keys, *world.accounts)]
        copied = copy_events(world.client, first, events, accounts)
        say(f"{copied} events of others in {time.monotonic() - began:.0f} s")

        idle, scan = self._scan(copied)
        daemons = [self._start(number) for number in range(MEMBERS)]
        samples = self._serve(requests, [*daemons, idle])
        self._stop([*daemons, idle])
        warm = max(1, requests // 4)
        for number, name in ((BUSY, "busy"), (IDLE, "idle")):
            self._judge(name, [one[number] for one in samples[warm:]])
        busy = [one[BUSY] for one in samples[warm:]]
        return {
            "requests": requests,
            "rounds": requests * world.data.draft.specification.rounds,
            "rss_mb": [round(mb, 1) for mb in ends([one.rss_mb for one in busy])],
            "descriptors": [round(n) for n in ends([one.descriptors for one in busy])],
            **self.idle(idle_minutes),
            "scan": scan,
        }

    def idle(self, minutes: float) -> dict[str, float]:
        """Calls of an idle daemon that listens, an hour, with a block every 12 seconds, measured
        for so long each, and its resident memory."""
        rpc = self._world.client.rpc
        rpc.call("evm_setAutomine", False)
        rpc.call("evm_setIntervalMining", BLOCK_SECONDS)
        polling, megabytes = self._idle(minutes)
        pushed, _ = self._idle(minutes, pushed=True)
        return {
            "calls_per_idle_hour": polling,
            "calls_per_idle_hour_pushed": pushed,
            "idle_rss_mb": megabytes,
        }

    def _start(self, number: int, *, pushed: bool = False, listens: bool = False) -> Popen[bytes]:
        """A daemon whose first cycle has succeeded. `pushed`: over WebSocket; `listens`: for
        searches and messages of rounds."""
        world, network = self._world, self._world.network
        name = f"provider-{number + 1}"
        policy, config = (network.folder / f"{name}{end}.toml" for end in ("-policy", ""))
        category = "nothing" if number == IDLE else world.data.draft.specification.category
        policy.write_text(POLICY.format(category=category))
        listen = network.listens() if listens else ""
        settings = network.settings(name, POLL_SECONDS, listen)
        if pushed:
            settings = settings.replace("http://", "ws://", 1)
        settings += f'monitor = "{self._ports[number]}"\n'
        config.write_text(f"{settings}keep_days = 0\nstore_prune = true\n")
        command = [sys.executable, "-m", "fedpact", "--config", str(config), "provider", "serve"]
        command += ["--data", str(world.data.files[number]), "--policy", str(policy)]
        with (network.folder / f"{name}.log").open("ab") as log:
            daemon = start_with_parent(command, stdin=DEVNULL, stdout=log, stderr=STDOUT)
        network.daemons.append(daemon)
        while not self._ready(number):
            if daemon.poll() is not None:
                raise SystemExit((network.folder / f"{name}.log").read_text()[-2000:])
            time.sleep(0.25)
        return daemon

    def _ready(self, number: int) -> bool:
        """Whether a cycle has succeeded, with all events read."""
        try:
            return self._metric(number, "fedpact_cycles_total", 'outcome="succeeded"') > 0
        except httpx.TransportError:
            return False

    def _metric(self, number: int, name: str, label: str = "") -> float:
        """The sum over all labels, or over those with this one."""
        answer = httpx.get(f"http://127.0.0.1:{self._ports[number]}/metrics", trust_env=False)
        lines = re.findall(rf"^{name}\{{(.*)\}} ([0-9.e+]+)$", answer.text, re.MULTILINE)
        return sum(float(value) for labels, value in lines if label in labels)

    def _stop(self, daemons: list[Popen[bytes]]) -> None:
        for daemon in daemons:
            daemon.terminate()
        for daemon in daemons:
            if daemon.wait(60) != 0:
                self.complaints.append(f"a daemon ended with code {daemon.returncode}")
            self._world.network.daemons.remove(daemon)

    def _request(self, title: str) -> int:
        """One request to its settlement."""
        world = self._world
        windows = dict.fromkeys(world.data.draft.fields["windows"], WINDOW)
        terms = {"min_pool": MEMBERS, "max_pool": MEMBERS}
        draft = world.data.draft.changed(
            title=title,
            windows=windows,
            terms=terms,
            local=SLOW,
            privacy={**world.data.draft.fields["privacy"], "epsilon": EPSILON},
            min_providers=MEMBERS,
            max_providers=MEMBERS,
        )
        request = self._requester.create(draft, world.data.evaluation, PAY)
        end = self._requester.follow(request)
        rounds = world.client.rounds.outcome(request).final_rounds
        if end.status is not Status.SETTLED or rounds != draft.specification.rounds:
            raise SystemExit(f"request {request} ended with {rounds} rounds")
        self._prune()
        return request

    def _prune(self) -> None:
        """As the requester's operator does."""
        network = self._world.network
        state = network.folder / "requester"
        prune(Settings(store=(network.store_uri,), state=state), really=True)

    def _scan(self, events: int) -> tuple[Popen[bytes], dict[str, Any]]:
        """The idle daemon, from its start to the end of its first cycle."""
        began = time.monotonic()
        idle = self._start(IDLE)
        seconds, largest = time.monotonic() - began, _status(idle.pid, "VmHWM") / 1024
        say(f"first scan: {seconds:.1f} s, {largest:.0f} MB")
        self._hold("the first scan took s", seconds, LONGEST_SCAN)
        self._hold("the first scan took MB", largest, LARGEST_SCAN)
        found = {"events": events, "seconds": round(seconds, 1), "rss_mb": round(largest, 1)}
        return idle, found

    def _serve(self, requests: int, daemons: list[Popen[bytes]]) -> list[list[Sample]]:
        """Request after request; a sample of each daemon after each."""
        found = []
        for number in range(1, requests + 1):
            began = time.monotonic()
            self._request(f"request {number}")
            if any(daemon.poll() is not None for daemon in daemons):
                raise SystemExit("a daemon ended by itself")
            samples = [self._sample(n, daemon) for n, daemon in enumerate(daemons)]
            found.append(samples)
            busy, idle = samples[BUSY], samples[IDLE]
            say(
                f"request {number} of {requests}: {time.monotonic() - began:.0f} s; busy"
                f" {busy.rss_mb:.1f} MB, {busy.descriptors} descriptors, {busy.threads} threads,"
                f" {busy.files_kb:.0f} kB in files; idle {idle.rss_mb:.1f} MB,"
                f" {idle.descriptors} descriptors, {idle.files_kb:.0f} kB"
            )
        return found

    def _sample(self, number: int, daemon: Popen[bytes]) -> Sample:
        network = self._world.network
        own = provider_folder(network.folder / "state", self._world.accounts[number].address)
        return Sample(
            _status(daemon.pid, "VmRSS") / 1024,
            len(os.listdir(f"/proc/{daemon.pid}/fd")),
            _status(daemon.pid, "Threads"),
            _size(own) / 1024,
            _size(network.folder / "content") / 1024,
        )

    def _judge(self, name: str, samples: list[Sample]) -> None:
        """Complain of what is not flat."""
        for what, most in (("rss_mb", MEMORY_MB), ("descriptors", HANDLES), ("threads", HANDLES)):
            start, end = ends([getattr(one, what) for one in samples])
            self._hold(f"the {name} daemon's {what} grew from {start:.1f} by", end - start, most)
        for what in ("files_kb", "store_kb"):
            found = growth([getattr(one, what) for one in samples])
            say(f"{name}: {what} grew by {found:.1f} kB a request")
            self._hold(f"the {name} daemon's {what} grew a request by kB", found, MOST_KB)

    def _idle(self, minutes: float, *, pushed: bool = False) -> tuple[int, float]:
        """Calls an hour, from three blocks after the start on, and MB in the end."""
        idle = self._start(IDLE, pushed=pushed, listens=True)
        time.sleep(3 * BLOCK_SECONDS)
        calls, began, cpu = self._calls(), time.monotonic(), _cpu_seconds(idle.pid)
        time.sleep(60 * minutes)
        seconds = time.monotonic() - began
        share = (_cpu_seconds(idle.pid) - cpu) / seconds
        found = round((self._calls() - calls) * 3600 / seconds)
        how = "heads are pushed" if pushed else "polling"
        resident = round(_status(idle.pid, "VmRSS") / 1024, 1)
        say(f"idle, {how}: {found} calls an hour, {100 * share:.2f} % of a core, {resident:.1f} MB")
        self._stop([idle])
        self._hold("an idle daemon's calls an hour:", found, MOST_CALLS)
        self._hold("an idle daemon's MB:", resident, LARGEST_IDLE)
        return found, resident

    def _calls(self) -> float:
        return self._metric(IDLE, "fedpact_rpc_calls_total")

    def _hold(self, what: str, found: float, limit: float) -> None:
        if found > limit:
            self.complaints.append(f"{what} {found:.1f}, above {limit:g}")


def ends(values: list[float]) -> tuple[float, float]:
    """The medians of the first and of the last third."""
    part = max(1, len(values) // 3)
    return statistics.median(values[:part]), statistics.median(values[-part:])


def growth(values: list[float]) -> float:
    """From the first third to the last, for each step."""
    start, end = ends(values)
    return (end - start) / max(1, len(values) - max(1, len(values) // 3))


def say(line: str) -> None:
    print(line, flush=True)


def _status(process: int, field: str) -> int:
    """A number of /proc/PID/status; memory in kB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(one for one in lines if one.startswith(f"{field}:")).split()[1])


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _size(folder: Path) -> int:
    """Bytes of all files in a folder, without SQLite's logs, which it keeps to 4 MB each."""
    found = 0
    for path in folder.rglob("*"):
        if path.name.endswith("-wal"):
            continue
        with suppress(FileNotFoundError):
            found += path.stat().st_size
    return found


@contextmanager
def soak_world(folder: Path, rounds: int) -> Iterator[Soak]:
    """Chain, store, accounts and data; all processes end at the end."""
    data = prepare(DemoOptions(providers=PROVIDERS, rounds=rounds), folder)
    with running_network(folder) as (network, registrar):
        yield Soak(World(network, registrar, data))


if __name__ == "__main__":
    main()
