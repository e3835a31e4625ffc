"""A private chain for trying things out: Anvil as a child process."""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from eth_account import Account

from fedpact.chain.keystore import AccountKeys
from fedpact.chain.rpc import Rpc
from fedpact.errors import FedpactError, InvalidInput

ANVIL_VARIABLE = "FEDPACT_ANVIL"
PLENTY = 10**21
"""Wei that a new account gets: 1,000 ether."""
GAS_LIMIT = 30_000_000
GAS_LIMIT_SPREAD = 2**20
START_LIMIT = 30.0
"""Seconds that Anvil may take until it answers."""
_LISTENING = re.compile(r"Listening on (\S+:\d+)")
_PR_SET_PDEATHSIG = 1


class Devnet:
    """A running Anvil. Each transaction makes a block at once, and so does each interval, without
    which the chain's clock would stand still and no deadline would ever pass.

    Every start makes another genesis block, so that nothing of an earlier chain is taken for this
    one's. Ends with the process that started it.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str, log_file: Path) -> None:
        self.process = process
        self.url = url
        self.log_file = log_file
        self._rpc = Rpc(url)

    @classmethod
    def start(
        cls,
        folder: Path,
        port: int = 0,
        block_time: float = 1,
        *,
        detached: bool = False,
    ) -> Devnet:
        """Start Anvil on 127.0.0.1, its log in `folder`; port 0: one that is free.

        `block_time` in seconds. `detached`: it goes on when this process ends (its process id is
        `.process.pid`). Raises FedpactError where it does not come up.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log_file = folder / "anvil.log"
        command = [
            str(find_anvil()),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--block-time", f"{block_time:g}", "--mixed-mining"),
            *("--accounts", "1", "--mnemonic-random"),
            # Anvil's genesis block differs by its second alone; this makes it differ always.
            *("--gas-limit", str(GAS_LIMIT + secrets.randbelow(GAS_LIMIT_SPREAD))),
        ]
        with log_file.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal goes to the whole group: whoever started it stops it, after
                # what still needs the chain.
                start_new_session=True,
                preexec_fn=None if detached else _end_with_parent,
            )
        devnet = cls(process, f"http://{_await_address(process, log_file)}", log_file)
        if not detached:
            atexit.register(devnet.stop)
        return devnet

    def stop(self) -> None:
        """End it; harmless when it has ended."""
        atexit.unregister(self.stop)
        self._rpc.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def fund(self, address: str, wei: int = PLENTY) -> None:
        """Set the balance of an account."""
        self._rpc.call("anvil_setBalance", address, hex(wei))

    def new_account(self, wei: int = PLENTY) -> AccountKeys:
        """A fresh account with money on this chain; its key is nowhere but in the result."""
        keys = AccountKeys(Account.create())
        self.fund(keys.address, wei)
        return keys

    def mine(self, blocks: int = 1, seconds_apart: int = 1) -> None:
        """Add empty blocks now; the chain's clock moves on by as much."""
        self._rpc.call("anvil_mine", hex(blocks), hex(seconds_apart))

    def __enter__(self) -> Devnet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def find_anvil() -> Path:
    """The Anvil binary: FEDPACT_ANVIL, else of the npm package in node_modules, else on PATH."""
    named = os.environ.get(ANVIL_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise InvalidInput(f"{ANVIL_VARIABLE} names {named}, which is no executable")
        return Path(named)
    for folder in (Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents):
        packages = folder / "node_modules" / "@foundry-rs"
        # The package without a platform's name is a launcher for Node; the binary is in another.
        for binary in sorted(packages.glob("anvil-*/bin/anvil")):
            return binary
    on_path = shutil.which("anvil")
    if on_path is None:
        raise InvalidInput(f"no anvil: run npm ci, or set {ANVIL_VARIABLE}")
    return Path(on_path)


def _await_address(process: subprocess.Popen[bytes], log_file: Path) -> str:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        text = log_file.read_text(errors="replace")
        listening = _LISTENING.search(text)
        if listening:
            return listening[1]
        if process.poll() is not None:
            reason = text.strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
            raise FedpactError(f"anvil did not start: {reason[0]}")
        time.sleep(0.02)
    process.kill()
    raise FedpactError(f"anvil did not answer within {START_LIMIT:g} s, see {log_file}")


def _end_with_parent() -> None:
    """In the child, before Anvil: ask Linux for SIGTERM when the parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
