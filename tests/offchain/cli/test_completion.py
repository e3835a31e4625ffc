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
def test_a_command_is_completed(shell: str, tmp_path: Path) -> None:
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
        child.send("fedpact request fol\t")
        child.expect("follow")
        # Only now, with no completion under way: the interrupt would reach it instead of the next.
        child.sendcontrol("c")
        # To "request" by the first, as far as both names agree; bash lists them at the third.
        child.send("fedpact requ" + ("\t\t\t" if shell == "bash" else "\t\t"))
        child.expect("requester")
    finally:
        child.close(force=True)
