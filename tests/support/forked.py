"""A program that says what it was started with, then waits for ever: `python -m
tests.support.forked FILE`; the report is JSON. Without a file it ends with code 3."""

import sys

loaded = set(sys.modules)
"""Before this program's own imports."""

import json  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import secrets  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from fedpact.demo.fleet import PRELOADED  # noqa: E402
from fedpact.privacy.noise import SystemNoise  # noqa: E402


def main() -> None:
    if len(sys.argv) == 1:
        print("nothing to write to", flush=True)
        sys.exit(3)
    me = Path("/proc/self")
    report = {
        "environment": dict(os.environ),
        "leads_its_session": os.getsid(0) == os.getpid(),
        "threads": len(list((me / "task").iterdir())),
        "files": {one.name: os.readlink(one) for one in (me / "fd").iterdir() if one.is_symlink()},
        "missing": [one for one in PRELOADED if one not in loaded],
        "drawn": {
            "noise": SystemNoise().words(4).tolist(),
            "numpy": np.random.default_rng().integers(2**63, size=2).tolist(),
            "random": random.getrandbits(64),
            "secrets": secrets.token_hex(16),
        },
    }
    found = Path(sys.argv[1])
    found.with_suffix(".part").write_text(json.dumps(report))
    found.with_suffix(".part").rename(found)
    time.sleep(600)


if __name__ == "__main__":
    main()
