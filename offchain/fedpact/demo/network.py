"""The demo's infrastructure: a chain, a store, accounts, and one process per provider."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedpact.chain import deployment_file as deployments
from fedpact.chain import keystore
from fedpact.chain.client import ChainClient
from fedpact.chain.connection import Connection
from fedpact.chain.deploy import Parameters, deploy_contracts
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.vouchers import encode_voucher
from fedpact.content.ipfs_node import IpfsNode
from fedpact.content.store import ContentStore
from fedpact.content.store_address import open_store
from fedpact.demo import fleet
from fedpact.demo.drafts import CATEGORY
from fedpact.demo.options import PoisonKind, StoreKind
from fedpact.errors import FedpactError
from fedpact.operator import participants
from fedpact.types.deployment import SecondDeployment

FUNDS_WEI = 100 * 10**18
REPUTATION_UNIT_WEI = 10**15
VOUCHER_SECONDS = 3600
SCRYPT_COST = 2**12
"""The chain lives for minutes, so that opening a key store need not take a second."""
STOP_SECONDS = 10.0
PORTS = range(15_000, 32_000)


@dataclass
class DemoNetwork:
    """Everything that runs; `stop` ends all of it."""

    folder: Path
    devnet: Devnet
    client: ChainClient
    deployment: SecondDeployment
    store: ContentStore
    store_uri: str
    password_file: Path
    ipfs: IpfsNode | None = None
    start_process: fleet.Start = fleet.start
    """How daemons are started."""
    daemons: list[fleet.Process] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)
    """Taken by daemons that may not have bound them yet."""

    def stop(self) -> None:
        """End daemons, store and chain, in this order; a second call does nothing."""
        self.stop_daemons()
        self.store.close()
        if self.ipfs is not None:
            self.ipfs.close()
            self.ipfs = None
        self.devnet.close()

    def stop_daemons(self) -> None:
        """End the providers' processes; kill those that do not end in time."""
        for process in self.daemons:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.daemons:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.daemons.clear()

    # ------------------------------------------------------------------ accounts

    def account(self, name: str) -> AccountKeys:
        """A new account with ether and a key store in the demo's folder."""
        keys = keystore.create_account(
            self.folder / "keys",
            self.password_file.read_text(),
            name,
            scrypt_cost=SCRYPT_COST,
        )
        self.devnet.fund(keys.address, FUNDS_WEI)
        return keys

    def register(self, registrar: AccountKeys, keys: AccountKeys, organisation: int) -> None:
        """Admit an account with a voucher that it redeems itself, as in real use."""
        voucher = participants.new_voucher(
            self.client, registrar, keys.address, organisation, VOUCHER_SECONDS
        )
        path = self.folder / f"voucher-{organisation}.json"
        path.write_text(encode_voucher(voucher))
        participants.register(self.client, self.store, keys, path, [CATEGORY])

    # ------------------------------------------------------------------ daemons

    def start_daemon(
        self,
        name: str,
        data: Path | None,
        policy: Path,
        poll_seconds: float,
        poison: PoisonKind | None,
        listen: str = "",
    ) -> None:
        """Start a provider as a separate process that logs to `folder`/NAME.log.

        `data`: None for those that the policy lists. `listen`: host:port at which it answers
        searches.
        """
        config = self.folder / f"{name}.toml"
        config.write_text(self.settings(name, poll_seconds, listen))
        log_file = self.folder / f"{name}.log"
        log_file.write_bytes(b"")
        module = ["fedpact"] if poison is None else ["fedpact.demo.poisoner", poison.value]
        command = [*module, "--config", str(config)]
        if poison is None:
            command += ["provider", "serve"]
        command += ["--policy", str(policy)]
        command += [] if data is None else ["--data", str(data)]
        process = self.start_process(command, log_file)
        self.names.append(name)
        self.daemons.append(process)

    def listens(self) -> str:
        """Where the next daemon exchanges the messages of rounds."""
        port = free_port()
        while port in self.ports:
            port = free_port()
        self.ports.add(port)
        return f"127.0.0.1:{port}"

    def wait_until_serving(self, seconds: float = 60.0) -> None:
        """Wait until each daemon has passed its checks; raises FedpactError if one has not."""
        deadline = time.monotonic() + seconds
        logs = [self.folder / f"{name}.log" for name in self.names]
        while not all(b"serving as" in log.read_bytes() for log in logs):
            self.check_daemons()
            if time.monotonic() > deadline:
                raise FedpactError(f"the daemons were not serving after {seconds:g} seconds")
            time.sleep(0.05)

    def check_daemons(self) -> None:
        """Raise FedpactError with the last log line of a daemon that has ended."""
        for name, process in zip(self.names, self.daemons, strict=True):
            if process.poll() is not None:
                lines = (self.folder / f"{name}.log").read_text().splitlines()
                said = lines[-1] if lines else "nothing"
                raise FedpactError(
                    f"the daemon of {name} ended with code {process.returncode}: {said}"
                )

    def settings(self, account: str, poll_seconds: float, listen: str = "") -> str:
        """A settings file for one account, as a person would write it."""
        values = {
            "endpoint": self.devnet.url,
            "deployment": str(self.folder / "deployment.json"),
            "store": self.store_uri,
            "keystore": str(self.folder / "keys"),
            "account": account,
            "password_file": str(self.password_file),
            "state": str(self.folder / "state"),
            "listen": listen,
        }
        lines = [f'{name} = "{value}"' for name, value in values.items()]
        return "\n".join([*lines, f"poll_interval = {poll_seconds}", ""])


def free_port() -> int:
    """A port of loopback on which nobody listens, below those of outgoing connections (Linux: from
    32,768)."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _deployed(devnet: Devnet, registrar: AccountKeys) -> SecondDeployment:
    """With windows and delays of a second."""
    owner = registrar.address
    parameters = Parameters(owner, owner, 1, 1, REPUTATION_UNIT_WEI)
    return deploy_contracts(Connection.connect(devnet.url, None), registrar, parameters)


@contextlib.contextmanager
def running_network(
    folder: Path,
    store: StoreKind = StoreKind.EMBEDDED,
    start: Callable[[Path], Devnet] = Devnet.start,
) -> Iterator[tuple[DemoNetwork, AccountKeys]]:
    """A fresh chain with the contracts deployed, and its registrar; everything is stopped at the
    end. `start`: starts the chain, with its files in a folder."""
    password_file = folder / "password"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(24))
    with contextlib.ExitStack() as stack:
        devnet = start(folder / "devnet")
        stack.callback(devnet.close)
        ipfs = None
        uri = str(folder / "content")
        if store is StoreKind.IPFS:
            ipfs = IpfsNode.start(folder / "ipfs")
            stack.callback(ipfs.close)
            uri = ipfs.url
        registrar = keystore.create_account(
            folder / "keys", password_file.read_text(), "registrar", scrypt_cost=SCRYPT_COST
        )
        devnet.fund(registrar.address, FUNDS_WEI)
        deployment = _deployed(devnet, registrar)
        deployments.save(deployment, folder / "deployment.json")
        network = DemoNetwork(
            folder,
            devnet,
            ChainClient.connect(devnet.url, deployment),
            deployment,
            open_store(uri),
            uri,
            password_file,
            ipfs,
        )
        stack.callback(network.stop)
        yield network, registrar
