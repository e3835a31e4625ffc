"""From a daemon's start to its first duty, after kill -9: docs/results/restart.json.

    make bench-restart

A provider's daemon has joined requests, and is killed. A request is
published while nobody serves it; then the daemon is started again. Its first duty is done when it
has joined that request on chain (Anvil, a block for each transaction). `cpu_seconds` are those of
the daemon's process until then, which hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, STDOUT

from fedpact.child import start_with_parent
from tests.support.world import POLICY, POLL, World, running_world

EPSILON = 0.25
"""Of a request: all that are joined fit into one lifetime budget."""
LIFETIME = 20.0
MOST_SECONDS = 3.0
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
    found = {
        "restarts": given.restarts,
        "serving_seconds": spread([one[0] for one in runs]),
        "first_duty_seconds": spread([one[1] for one in runs]),
        "cpu_seconds": spread([one[2] for one in runs]),
    }
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(0 if statistics.median(one[1] for one in runs) <= MOST_SECONDS else 1)


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
