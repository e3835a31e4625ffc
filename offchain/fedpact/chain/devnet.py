"""A private chain for trying things out: Anvil as a child process."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
from pathlib import Path

from eth_account import Account
from eth_utils.currency import to_wei

from fedpact.chain.keystore import AccountKeys
from fedpact.chain.rpc import Rpc
from fedpact.child import ChildFailed, ChildProcess
from fedpact.closing import Closing
from fedpact.errors import FedpactError, InvalidInput

ANVIL_VARIABLE = "FEDPACT_ANVIL"
PLENTY = to_wei(1_000, "ether")
"""What a new account gets, in wei."""
GAS_LIMIT = 30_000_000
GAS_LIMIT_SPREAD = 2**20
START_LIMIT = 30.0
"""Seconds that Anvil may take until it answers."""
LOG_NAME = "anvil.log"
MINING = "--mixed-mining"
"""Anvil's option for a block a transaction, and one each interval; its command line shows it."""
_LISTENING = re.compile(r"Listening on (\S+:\d+)")


class Devnet(Closing):
    """A running Anvil. Each transaction makes a block at once, and so does each interval, without
    which the chain's clock would stand still and no deadline would ever pass.

    Every start makes another genesis block, so that nothing of an earlier chain is taken for this
    one's. Ends with the process that started it.
    """

    def __init__(self, child: ChildProcess, url: str) -> None:
        self.child = child
        self.url = url
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

        `block_time` in seconds. `detached`: it goes on when this process ends (its process group
        is `.group`). Raises FedpactError where it does not come up.
        """
        command = [
            str(find_anvil()),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--block-time", f"{block_time:g}", MINING),
            *("--accounts", "1", "--mnemonic-random"),
            # Anvil's genesis block differs by its second alone; this makes it differ always.
            *("--gas-limit", str(GAS_LIMIT + secrets.randbelow(GAS_LIMIT_SPREAD))),
        ]
        child = ChildProcess.start(command, folder / LOG_NAME, detached=detached)
        try:
            address = child.wait_for(_LISTENING, START_LIMIT)[1]
        except ChildFailed as error:
            raise FedpactError(f"anvil did not start: {error}") from error
        devnet = cls(child, f"http://{address}")
        if not detached:
            atexit.register(devnet.close)
        return devnet

    @property
    def group(self) -> int:
        """Its process group, which is the id of the process that was started."""
        return self.child.process.pid

    def close(self) -> None:
        """End it; harmless when it has ended."""
        atexit.unregister(self.close)
        self._rpc.close()
        self.child.stop()

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
