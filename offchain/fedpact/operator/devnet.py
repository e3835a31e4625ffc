"""A private chain that outlives the command that started it: start, find and stop it."""

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fedpact.chain.devnet import MINING, Devnet, forget_states
from fedpact.child_process import end_group, group_runs
from fedpact.errors import InvalidInput

RECORD = "devnet.json"


@dataclass(frozen=True)
class RunningDevnet:
    """A running chain, from its record."""

    url: str
    process: int
    """Id of the started process, and of its group."""


def start(folder: Path, port: int, block_time: float, funded: Sequence[str] = ()) -> RunningDevnet:
    """Start a chain and record it in `folder`; gives each address of `funded` 1,000 ether.

    Raises InvalidInput if one started from this folder still runs, FedpactError if it does not
    start.
    """
    known = _read(folder)
    if known is not None and _runs(known.process):
        raise InvalidInput(
            f"a devnet already runs at {known.url}: stop it with `fedpact devnet down`"
        )
    devnet = Devnet.start(folder, port, block_time, detached=True)
    try:
        for address in funded:
            devnet.fund(address)
        running = RunningDevnet(devnet.url, devnet.group)
        (folder / RECORD).write_text(json.dumps(asdict(running)), encoding="utf-8")
    except BaseException:
        devnet.close()
        raise
    return running


def stop(folder: Path) -> RunningDevnet:
    """Stop the chain recorded in `folder`, and all that its process started.

    Raises InvalidInput if none is recorded, FedpactError if it does not end.
    """
    known = _read(folder)
    if known is None:
        raise InvalidInput(f"no devnet was started from {folder}")
    if _runs(known.process):
        end_group(known.process, lambda: _reap(known.process))
    forget_states(folder)
    (folder / RECORD).unlink()
    return known


def _read(folder: Path) -> RunningDevnet | None:
    try:
        return RunningDevnet(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{folder / RECORD} is damaged: {error}") from error


def _runs(process: int) -> bool:
    """Whether it, or what it started, runs; after a reboot the id may be another process's."""
    if not group_runs(process):
        return False
    command = Path(f"/proc/{process}/cmdline")
    return not command.exists() or MINING.encode() in command.read_bytes()


def _reap(process: int) -> None:
    """If this process started it, it stays a zombie until waited for."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
