"""`fedpact privacy audit`: what it prints, writes and ends with."""

import json
from pathlib import Path

from tests.offchain.cli.commandline import Cli


def test_an_audit_prints_stated_and_measured_values(cli: Cli, tmp_path: Path) -> None:
    result = cli(
        *("privacy", "audit", "softmax-regression", "--check", "draws", "--check", "canaries"),
        *("--draws", 300, "--canaries", 60, "--json", "found.json"),
    )

    assert result.code == 0
    draws, canaries, stated = result.out.splitlines()
    assert draws.startswith("draws, mode sound: Gaussian-DP parameter mu: stated 0.5")
    assert draws.endswith(": holds")
    assert canaries.startswith("canaries, mode sound")
    assert stated.startswith("stated at epsilon 2.000") or stated.startswith(
        "stated at epsilon 1.99"
    )
    assert stated.endswith("delta 1e-05, for a record or named unit replaced by nothing")
    found = json.loads((tmp_path / "found.json").read_text())
    assert [one["check"] for one in found] == ["draws", "canaries"]
    assert found[0]["details"]["draws"] == 300
    assert found[0]["delta"] == 1e-5


def test_a_failing_check_sets_the_exit_code(cli: Cli) -> None:
    result = cli("privacy", "audit", "softmax-regression", "--mode", "paper", "--draws", 300)

    assert result.code == 16
    assert "FAILS" in result.out
    assert "claimed by the paper, not guaranteed" in result.out
    assert result.err.splitlines() == [
        "fedpact: softmax-regression, mode paper: the stated bound is refuted by draws, membership"
    ]


def test_an_unknown_family_or_check_is_refused(cli: Cli) -> None:
    assert cli("privacy", "audit", "magic").code == 3
    assert cli("privacy", "audit", "softmax-regression", "--check", "luck").code == 2


def test_behaviour_alone_has_no_epsilon(cli: Cli) -> None:
    """It said `stated at epsilon 0.0000`."""
    result = cli(
        *("privacy", "audit", "softmax-regression", "--check", "participation", "--requests", 1)
    )

    assert result.code == 0
    assert "holds" in result.out
    assert "epsilon" not in result.out
