"""A private chain that outlives the command that started it, and how to find and end it again."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fedpact.chain.devnet import Devnet
from fedpact.errors import FedpactError, InvalidInput

RECORD = "devnet.json"
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class RunningDevnet:
    """A chain as its record says."""

    url: str
    process: int
    """Process id."""


def start(folder: Path, port: int, block_time: float, funded: Sequence[str] = ()) -> RunningDevnet:
    """Start a chain and record it in `folder`; gives each address of `funded` 1,000 ether.

    Raises InvalidInput where one that was started from this folder still runs, FedpactError where
    it does not come up.
    """
    known = _read(folder)
    if known is not None and _runs(known.process):
        raise InvalidInput(f"a devnet runs at {known.url} already: end it by `fedpact devnet down`")
    devnet = Devnet.start(folder, port, block_time, detached=True)
    try:
        for address in funded:
            devnet.fund(address)
        running = RunningDevnet(devnet.url, devnet.process.pid)
        (folder / RECORD).write_text(json.dumps(asdict(running)), encoding="utf-8")
    except BaseException:
        devnet.stop()
        raise
    return running


def stop(folder: Path) -> RunningDevnet:
    """End the chain recorded in `folder`; raises InvalidInput where there is none."""
    known = _read(folder)
    if known is None:
        raise InvalidInput(f"no devnet was started from {folder}")
    if _runs(known.process):
        _end(known.process)
    (folder / RECORD).unlink()
    return known


def _read(folder: Path) -> RunningDevnet | None:
    try:
        return RunningDevnet(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{folder / RECORD} is damaged: {error}") from error


def _runs(process: int) -> bool:
    """Whether the process is there and an Anvil: after a restart its number may be another's."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    command = Path(f"/proc/{process}/cmdline")
    return not command.exists() or b"anvil" in command.read_bytes()


def _end(process: int) -> None:
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _runs(process):
        with contextlib.suppress(ChildProcessError):
            # Where it was this process that started it, it stays until it is waited for.
            os.waitpid(process, os.WNOHANG)
        if time.monotonic() > deadline:
            raise FedpactError(f"the devnet (process {process}) does not end")
        time.sleep(0.02)
