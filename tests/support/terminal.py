"""Programs on a real pseudo-terminal."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pexpect

from tests.support.waiting import PATIENCE

ROWS_AND_COLUMNS = (50, 120)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@contextmanager
def fedpact_on_a_terminal(config: Path, arguments: Sequence[str]) -> Iterator[pexpect.spawn]:
    """`fedpact ARGUMENTS` with a terminal of its own. A test that waits in vain for its output is
    told what it was doing."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "fedpact", "--config", str(config), *arguments],
        dimensions=ROWS_AND_COLUMNS,
        timeout=PATIENCE,
        encoding="utf-8",
        # What a terminal is able to do is not to depend on where the tests run.
        env={
            "TERM": "xterm-256color",
            "PATH": "/usr/bin:/bin",
            "HOME": str(config.parent),
            "PYTHONFAULTHANDLER": "1",
        },
        # What a shell starts in the background ignores Ctrl-C, and would pass that on.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield child
    except pexpect.TIMEOUT as error:
        child.kill(signal.SIGABRT)
        error.add_note(f"where each of its threads was:\n{without_control(child.read())}")
        raise
    finally:
        child.close(force=True)


def without_control(text: str) -> str:
    """Text as it is read, without what moves the cursor or sets colours."""
    return _CONTROL.sub("", text)
