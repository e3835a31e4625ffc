"""The participation game in hundreds of random hostile requests: docs/results/participation.json.

    python -m benchmarks.participation

A piece is ten requests of one family from one seed; there are five of each family, and one each of
secure sums and of adaptive clipping. `moving` counts requests in which the record moved the sums:
in the others it counts as zero, whatever it holds. The file is written after each piece, and a run
goes on with the pieces that it lacks (`--again`: with all).
Repeat one by its seed: `privacy_audit.participation.audit_participation(FAMILY, MODE, 10, SEED)`.
Exits with 1 where a record made a difference.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedpact.privacy.attacks import AuditedMode
from fedpact.privacy_audit import hostile
from fedpact.privacy_audit.participation import audit_participation

FILE = Path("docs/results/participation.json")
SEEDS, REQUESTS = range(5), 10
"""As the slow test's, tests/offchain/privacy_audit/test_participation.py."""


def pieces() -> list[tuple[str, AuditedMode, int]]:
    """Family, mode and seed; a piece of each family first."""
    families = sorted(hostile._FORMS)
    found = [(family, AuditedMode.SOUND, seed) for seed in SEEDS for family in families]
    found += [(family, AuditedMode.SECURE, 0) for family in families]
    others = [family for family in families if family not in hostile.TEXT_FAMILIES]
    return [*found, *((family, AuditedMode.ADAPTIVE, 0) for family in others)]


def played(family: str, mode: AuditedMode, seed: int) -> dict[str, Any]:
    """What a piece found."""
    began = time.perf_counter()
    found = audit_participation(family, mode, REQUESTS, seed)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return {
        "family": family,
        "mode": str(mode),
        "seed": seed,
        "requests": REQUESTS,
        "joined": found.details["joined"],
        "moving": found.details["moving"],
        "differences": found.details["differences"],
        "largest_move": round(found.details["largest_move"], 4),
        "seconds": round(time.perf_counter() - began, 1),
        "commit": commit[:10],
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "requests": sum(one["requests"] for one in found),
        "joined": sum(one["joined"] for one in found),
        "moving": sum(one["moving"] for one in found),
        "differences": sum(len(one["differences"]) for one in found),
        "largest_move": max((one["largest_move"] for one in found), default=0.0),
        "pieces": found,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=FILE)
    parser.add_argument("--again", action="store_true", help="play all pieces again")
    asked = parser.parse_args(arguments)
    known = asked.json.exists() and not asked.again
    found = json.loads(asked.json.read_text())["pieces"] if known else []
    done = {(one["family"], one["mode"], one["seed"]) for one in found}
    for piece in pieces():
        if piece in done:
            continue
        found.append(played(*piece))
        fresh = asked.json.with_suffix(".new")
        fresh.write_text(json.dumps(summary(found), indent=2) + "\n")
        fresh.replace(asked.json)
        print({name: value for name, value in found[-1].items() if name != "commit"}, flush=True)
    return int(summary(found)["differences"] > 0)


if __name__ == "__main__":
    sys.exit(main())
