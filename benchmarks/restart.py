"""From a daemon's start to its first duty, after kill -9, and from SIGTERM in the middle of a
training to its end: docs/results/restart.json.

    make bench-restart

A provider's daemon has joined requests, and is killed. A request is
published while nobody serves it; then the daemon is started again. Its first duty is done when it
has joined that request on chain (Anvil, a block for each transaction). `cpu_seconds` are those of
the daemon's process until then, which hardly depend on what else the machine does.

A second daemon is stopped as often while it trains, by SIGTERM, and started again: `stop_seconds`
are those until its process has ended, and its training's. Exits with 1 above three seconds to the
first duty, or ten to an end.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, STDOUT

from fedpact.child_process import start_with_parent
from tests.support.held_provider import HELD
from tests.support.processes import executed
from tests.support.world import PAY, POLICY, POLL, World, running_world, serve_held

EPSILON = 0.25
"""Of a request: all that are joined fit into one lifetime budget."""
LIFETIME = 20.0
HELD_POLICY = "accept_without_privacy = true\n"
LONG_WINDOW = 3_600
"""Seconds; the training that is stopped would last as long."""
MOST_SECONDS, MOST_STOP_SECONDS = 3.0, 10.0
"""On a quiet machine."""
PATIENCE = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restarts", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fedpact-restart-") as folder,
        running_world(Path(folder), providers=2, rounds=1) as world,
    ):
        privacy = {**world.data.draft.fields["privacy"], "epsilon": EPSILON}
        world.data = replace(world.data, draft=world.data.draft.changed(privacy=privacy))
        restart(world)  # the first start makes files and joins the first request
        runs = [restart(world) for _ in range(given.restarts)]
    stops = stopped(given.restarts)
    found = {
        "restarts": given.restarts,
        "serving_seconds": spread([one[0] for one in runs]),
        "first_duty_seconds": spread([one[1] for one in runs]),
        "cpu_seconds": spread([one[2] for one in runs]),
        "stop_seconds": spread(stops),
    }
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    slow = statistics.median(one[1] for one in runs) > MOST_SECONDS
    sys.exit(1 if slow or max(stops) > MOST_STOP_SECONDS else 0)


def restart(world: World) -> tuple[float, float, float]:
    """Seconds until it serves, and until it has joined; the CPU seconds of that."""
    network, request = world.network, world.create()
    log_file = network.folder / "restarted.log"
    command = serve_command(world)
    with log_file.open("wb") as log:
        began = time.monotonic()
        daemon = start_with_parent(command, stdin=DEVNULL, stdout=log, stderr=STDOUT)
    try:
        wait(log_file, lambda: b"serving as" in log_file.read_bytes())
        serving = time.monotonic() - began
        wait(log_file, lambda: len(world.client.pool.members(request)) == 1)
        joined = time.monotonic() - began
        fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    finally:
        daemon.kill()
        daemon.wait()
    return serving, joined, cpu


def stopped(times: int) -> list[float]:
    """Seconds from SIGTERM to the end of a daemon that trains, and of its training."""
    with (
        tempfile.TemporaryDirectory(prefix="fedpact-stop-") as folder,
        running_world(Path(folder), providers=2, rounds=1) as world,
    ):
        world.network.start_process, world.policy = executed, HELD_POLICY
        world.serve(1)  # trains at once
        windows = dict.fromkeys(world.data.draft.fields["windows"], LONG_WINDOW)
        draft = world.data.draft.changed(
            title=HELD, min_providers=2, max_providers=2, windows=windows, privacy={"mode": "none"}
        )
        world.requester.create(draft, world.data.evaluation, PAY)
        return [stop(world) for _ in range(times)]


def stop(world: World) -> float:
    """As `stopped`, once."""
    folder = world.network.folder
    before = set(folder.glob("started-*"))
    daemon = serve_held(world, 0, POLICY.format(lifetime=LIFETIME) + HELD_POLICY)
    wait(folder / "provider-1.log", lambda: len(set(folder.glob("started-*")) - before) == 1)
    [training] = set(folder.glob("started-*")) - before
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    if daemon.wait() != 0:
        raise SystemExit((folder / "provider-1.log").read_text())
    while Path("/proc", training.name.partition("-")[2]).exists():
        time.sleep(0.02)
    world.network.daemons.remove(daemon)
    return time.monotonic() - began


def serve_command(world: World) -> list[str]:
    """As a person starts it; the network would fork it from a process that has imported all."""
    config, policy = (world.network.folder / name for name in ("restarted.toml", "policy.toml"))
    config.write_text(world.network.settings("provider-1", POLL))
    policy.write_text(POLICY.format(lifetime=LIFETIME))
    command = [sys.executable, "-m", "fedpact", "--config", str(config), "provider", "serve"]
    return [*command, "--data", str(world.data.files[0]), "--policy", str(policy)]


def wait(log_file: Path, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE:g} s: {log_file.read_text()}")
        time.sleep(0.02)


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 2),
        "least": round(min(values), 2),
        "most": round(max(values), 2),
    }


if __name__ == "__main__":
    main()
