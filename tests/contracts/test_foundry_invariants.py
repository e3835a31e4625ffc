"""Forge sends random calls to the contracts, independently of the Python tests' model.

The invariants are written in Solidity: tests/contracts/invariant/Lives.t.sol. The contracts are
deployed from their artifacts, which must be fresh.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.compile import DEPLOYED
from tests.support.chainkit import ROOT

CONFIG = ROOT / "tests" / "contracts" / "invariant" / "foundry.toml"
LIMIT = 900
"""Seconds."""


def forge(runs: int, depth: int, **settings: str) -> None:
    """`runs` sequences of `depth` calls for each invariant; fails with forge's output."""
    assert not DEPLOYED.stale(), "run make contracts: the artifacts are older than the sources"
    package = ROOT / "node_modules" / "@foundry-rs"
    binary = next(package.glob("forge-*/bin/forge*"), None)
    if binary is None:
        pytest.skip("npm has installed no forge for this platform (node_modules/@foundry-rs)")
    settings["FOUNDRY_CONFIG"] = str(CONFIG)
    settings["FOUNDRY_INVARIANT_RUNS"] = str(runs)
    settings["FOUNDRY_INVARIANT_DEPTH"] = str(depth)
    done = subprocess.run(
        [binary, "test", "-vv"],
        **{"cwd": ROOT, "env": os.environ | settings, "timeout": LIMIT},
        **{"capture_output": True, "text": True},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed; 0 skipped" in done.stdout, done.stdout


def test_random_calls_break_no_invariant() -> None:
    forge(runs=24, depth=50, FOUNDRY_FUZZ_SEED="0x5eed")


@pytest.mark.slow
def test_many_long_sequences_of_random_calls_break_no_invariant(tmp_path: Path) -> None:
    """Compiles into its own folder, since the short test may run at the same time."""
    forge(
        **{"runs": 300, "depth": 100},
        FOUNDRY_OUT=str(tmp_path / "out"),
        FOUNDRY_CACHE_PATH=str(tmp_path / "cache"),
    )
