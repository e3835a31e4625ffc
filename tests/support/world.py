"""A network of daemons as processes, with data for each, and a requester."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedpact.chain.bindings.events import Credited, RequestEvent
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.demo.data import DemoData, prepare
from fedpact.demo.fleet import Process
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import DemoOptions, StoreKind
from fedpact.provider.files import ledger_file, state_file
from fedpact.requester.client import Requester
from fedpact.types.requests import seats_of

POLL = 0.05
PAYMENT = 10**18
POLICY = """categories = ["images/digits"]
epsilon_per_request = 4.1
epsilon_per_requester = 100.0
submit_after = 0.0
epsilon_lifetime = {lifetime}
min_samples = 20
"""


class World:
    """A network with providers' accounts and data, and a requester; `registrar` admits others."""

    def __init__(self, network: DemoNetwork, registrar: AccountKeys, data: DemoData) -> None:
        assert isinstance(network.client, ChainClient)
        self.network = network
        self.client: ChainClient = network.client
        self.registrar = registrar
        self.data = data
        self.requester_keys = network.account("requester")
        network.register(registrar, self.requester_keys, 1)
        self.accounts = [network.account(f"provider-{n + 1}") for n in range(len(data.files))]
        for number, keys in enumerate(self.accounts):
            network.register(registrar, keys, number + 2)
        self.requester = Requester(
            network.client, network.store, self.requester_keys, network.folder / "state"
        )

    def serve(self, number: int, lifetime: float = 8.0) -> None:
        policy = self.policy_file(number)
        policy.write_text(POLICY.format(lifetime=lifetime))
        self.network.start_daemon(
            f"provider-{number + 1}", self.data.files[number], policy, POLL, None
        )

    def policy_file(self, number: int) -> Path:
        return self.network.folder / f"policy-{number + 1}.toml"

    def kill(self, number: int) -> None:
        """Kills the process, as a power cut would."""
        process = self.process(number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        index = self.network.daemons.index(process)
        del self.network.daemons[index], self.network.names[index]

    def number_of(self, account: str) -> int:
        """The index of the provider with this address."""
        return [keys.address for keys in self.accounts].index(account)

    def process(self, number: int) -> Process:
        return self.network.daemons[self.network.names.index(f"provider-{number + 1}")]

    def state_file(self, number: int) -> Path:
        state, account = self.network.folder / "state", self.accounts[number]
        return state_file(state, self.network.deployment, account.address)

    def ledger_file(self, number: int) -> Path:
        return ledger_file(self.network.folder / "state", self.accounts[number].address)

    def log(self, number: int) -> str:
        return (self.network.folder / f"provider-{number + 1}.log").read_text()

    def events(self, request: int, kind: type[Any]) -> list[Any]:
        return [one for one in self.all_events(request) if isinstance(one, kind)]

    def all_events(self, request: int) -> list[RequestEvent]:
        return list(self.client.request_events(request))

    def entries(self, request: int) -> list[Credited]:
        """What rounds earned, without the gas of batches."""
        return [one for one in self.events(request, Credited) if one.points or one.extra & 0xFFFF]


def faults_of(entry: Credited) -> list[int]:
    return seats_of(entry.extra & 0xFFFF)


def points_of(entry: Credited, seats: int) -> list[int]:
    return [entry.points >> 16 * seat & 0xFFFF for seat in range(seats)]


@contextmanager
def running_world(folder: Path, *, providers: int, rounds: int) -> Iterator[World]:
    """A fresh chain; no daemon runs yet. Everything is stopped at the end."""
    data = prepare(DemoOptions(providers=providers, rounds=rounds), folder)
    with running_network(folder, StoreKind.EMBEDDED) as (network, registrar):
        yield World(network, registrar, data)


def serve_held(world: Any, number: int, policy: str) -> Process:
    """Starts the daemon of a World or SecondWorld whose trainings do what requests' titles say
    (`held_provider`)."""
    network, name = world.network, f"provider-{number + 1}"
    config, policy_file = (network.folder / f"{name}{end}.toml" for end in ("", "-policy"))
    config.write_text(network.settings(name, POLL))
    policy_file.write_text(policy)
    command = ["tests.support.held_provider", str(network.folder), "--config", str(config)]
    command += ["--data", str(world.data.files[number]), "--policy", str(policy_file)]
    process: Process = network.start_process(command, network.folder / f"{name}.log")
    network.daemons.append(process)
    network.names.append(name)
    return process
