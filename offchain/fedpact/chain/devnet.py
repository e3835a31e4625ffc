"""A private chain for development: Anvil as a child process."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
from pathlib import Path

from eth_account import Account
from eth_utils.currency import to_wei

from fedpact.chain.failover import Nodes
from fedpact.chain.keystore import AccountKeys
from fedpact.child_process import ChildFailed, ChildProcess
from fedpact.closing import Closing
from fedpact.errors import FedpactError, InvalidInput

ANVIL_VARIABLE = "FEDPACT_ANVIL"
PLENTY = to_wei(1_000, "ether")
"""What a new account gets, in wei."""
GAS_LIMIT = 30_000_000
GAS_LIMIT_SPREAD = 2**20
START_LIMIT = 60.0
"""Seconds within which Anvil must answer."""
ANSWER_LIMIT = 60.0
"""Seconds; many blocks at once take it several on a busy machine."""
LOG_NAME = "anvil.log"
STATES_NAME = "anvil-states"
"""Folder of the states of old blocks. Anvil's default is in the home folder, where a process that
is killed leaves gigabytes."""
MINING = "--mixed-mining"
"""Anvil's option for a block per transaction and one per interval; identifies its processes."""
_LISTENING = re.compile(r"Listening on (\S+:\d+)")


class Devnet(Closing):
    """A running Anvil. It mines a block for each transaction and one each interval: without those
    the chain's clock would stand still and no deadline would pass.

    Every start has a new genesis block, so nothing of an earlier chain passes for this one's. Ends
    with the process that started it.
    """

    def __init__(self, child: ChildProcess, url: str, folder: Path) -> None:
        self.child = child
        self.url = url
        self._folder = folder
        self._rpc = Nodes(url, ANSWER_LIMIT)

    @classmethod
    def start(
        cls,
        folder: Path,
        port: int = 0,
        block_time: float = 1,
        *,
        detached: bool = False,
    ) -> Devnet:
        """Start Anvil on 127.0.0.1, with its log and old states in `folder`; port 0: any free port.

        `block_time` in seconds. `detached`: it keeps running when this process ends (its process
        group is `.group`). Raises FedpactError if it does not start.
        """
        forget_states(folder)  # Of one that was killed.
        command = [
            str(find_anvil()),
            *("--cache-path", str(folder / STATES_NAME)),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--block-time", f"{block_time:g}", MINING),
            *("--accounts", "1", "--mnemonic-random"),
            # Anvil's genesis blocks differ only by their second; this makes them always differ.
            *("--gas-limit", str(GAS_LIMIT + secrets.randbelow(GAS_LIMIT_SPREAD))),
        ]
        child = ChildProcess.start(command, folder / LOG_NAME, detached=detached)
        try:
            address = child.wait_for(_LISTENING, START_LIMIT)[1]
        except ChildFailed as error:
            raise FedpactError(f"anvil did not start: {error}") from error
        devnet = cls(child, f"http://{address}", folder)
        if not detached:
            atexit.register(devnet.close)
        return devnet

    @property
    def group(self) -> int:
        """Its process group: the id of the started process."""
        return self.child.process.pid

    def close(self) -> None:
        """Stop it; harmless if it has ended."""
        atexit.unregister(self.close)
        self._rpc.close()
        self.child.stop()
        forget_states(self._folder)

    def fund(self, address: str, wei: int = PLENTY) -> None:
        """Set the balance of an account."""
        self._rpc.call("anvil_setBalance", address, hex(wei))

    def new_account(self, wei: int = PLENTY) -> AccountKeys:
        """A new funded account on this chain; its key exists only in the result."""
        keys = AccountKeys(Account.create())
        self.fund(keys.address, wei)
        return keys

    def mine(self, blocks: int = 1, seconds_apart: int = 1) -> None:
        """Mine empty blocks now; moves the chain's clock forward."""
        self._rpc.call("anvil_mine", hex(blocks), hex(seconds_apart))


def forget_states(folder: Path) -> None:
    """Delete the states that a chain which has ended kept in `folder`."""
    shutil.rmtree(folder / STATES_NAME, ignore_errors=True)


def find_anvil() -> Path:
    """The Anvil binary: FEDPACT_ANVIL, else from the npm package in node_modules, else on PATH."""
    named = os.environ.get(ANVIL_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise InvalidInput(f"{ANVIL_VARIABLE} names {named}, which is not executable")
        return Path(named)
    for folder in (Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents):
        packages = folder / "node_modules" / "@foundry-rs"
        # The package without a platform in its name is a Node launcher; another has the binary.
        for binary in sorted(packages.glob("anvil-*/bin/anvil")):
            return binary
    on_path = shutil.which("anvil")
    if on_path is None:
        raise InvalidInput(f"no anvil: run npm ci, or set {ANVIL_VARIABLE}")
    return Path(on_path)
