"""A provider's daemon in an hour in which nothing is open, its calls and memory:
docs/results/idle.json.

    make bench-idle

A block comes every 12 seconds, and the daemon listens for messages. Its JSON-RPC calls are counted
twice, for `--minutes` each: where it polls its node over HTTP, and where its node pushes heads over
WebSocket. It is the last part of `benchmarks.soak` alone. Exits with 1 above 1,000 calls an hour or
115 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.soak import soak_world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fedpact-idle-") as folder,
        soak_world(Path(folder), rounds=1) as soak,
    ):
        result = soak.idle(given.minutes)
        complaints = soak.complaints
    print(json.dumps(result, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    for line in complaints:
        print(line)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
