"""Completion in the real shells, with the script that the command itself gives."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pexpect
import pytest

from tests.support.waiting import PATIENCE

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(fedpact --show-completion)"'),
    "zsh": (
        ["-f", "-i"],
        'autoload -U compinit && compinit -u -D && eval "$(fedpact --show-completion)"',
    ),
    "fish": (["--no-config", "-i"], "fedpact --show-completion | source"),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("typed", "completed"), [("fedpact requ", "requester"), ("fedpact request fol", "follow")]
)
def test_a_command_is_completed(shell: str, typed: str, completed: str, tmp_path: Path) -> None:
    """One line a shell: what is typed while a shell abandons a line may be lost."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    arguments, load = SHELLS[shell]
    commands = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {"PATH": commands, "HOME": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    child = pexpect.spawn(
        path, arguments, env=environment, timeout=PATIENCE, encoding="utf-8", dimensions=(50, 160)
    )
    try:
        # The mark is written in two parts, so that its echo is not taken for the answer.
        child.sendline(f"{load}; echo lo''aded")
        child.expect("loaded")
        # "requ" is completed as far as both names agree by the first, and bash lists them at the
        # third. Nothing is left for those after the first at "follow".
        child.send(typed + ("\t\t\t" if shell == "bash" else "\t\t"))
        child.expect(completed)
    finally:
        child.close(force=True)
