"""An episode's processes: chain, store, daemons of providers and the requester's service, each of
them before a node of its own weather."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np

from fedpact.chain.keystore import AccountKeys
from fedpact.child_process import start_with_parent
from fedpact.content.ipfs_node import IpfsNode
from fedpact.content.store_address import open_store
from fedpact.demo.data import DemoData, prepare
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import DemoOptions, StoreKind
from tests.chaos.actors import Actor
from tests.chaos.fault_proxies import StoreWeather, Weather, node_with, store_with
from tests.chaos.schedule import LONGEST, PROVIDERS, REQUESTER, Episode, Kind
from tests.support.waiting import wait_until
from tests.support.world import POLICY, World

POLL_SECONDS = 0.1
LIFETIME = 10_000.0
"""Epsilon that no run of the suite uses up."""
SLOW = {"steps": 1, "learning_rate": 0.05}
"""No round reaches the target and ends the request early."""
PAYMENT = "1 ether"
WINDOWS = ("join", "start", "submit", "commit", "reveal", "propose", "deliver")
STARTS_EACH = 15
"""A window is as long as this many starts of all daemons at once take on this machine now: a busy
machine does everything more slowly, recovery included."""


class ChaosWorld(World):
    def __init__(
        self, network: DemoNetwork, registrar: AccountKeys, data: DemoData, episode: Episode
    ) -> None:
        super().__init__(network, registrar, data)
        self.episode = episode
        self.store_weather = StoreWeather()
        self.uri = network.store_uri
        """Of the store as the actors see it."""
        self.actors: list[Actor] = []
        self.creation: subprocess.Popen[bytes] | None = None
        """`fedpact request create`, while it runs."""
        self.ended: list[str] = []
        """What ended by itself, with its last words."""
        self.window = int(4 * LONGEST)
        """Seconds."""
        self._injected: Counter[str] = Counter()
        self._lock = Lock()
        if network.ipfs is not None:
            self._ipfs_port = int(network.ipfs.url.rpartition(":")[2])

    # -- counting -------------------------------------------------------------------------------

    def fired(self, kind: Kind) -> None:
        """Called from any thread."""
        with self._lock:
            self._injected[kind.name] += 1

    @property
    def injected(self) -> dict[str, int]:
        with self._lock:
            return dict(self._injected)

    # -- processes ------------------------------------------------------------------------------

    def add(self, weather: Weather, url: str) -> Actor:
        """The next provider in turn, then the requester."""
        number = len(self.actors)
        name = "requester" if number == REQUESTER else f"provider-{number + 1}"
        folder = self.network.folder
        config = folder / f"{name}.toml"
        listen = self.network.listens() if self.episode.exchanging else ""
        config.write_text(
            f'endpoint = "{url}"\n'
            f'deployment = "{folder / "deployment.json"}"\n'
            f'store = "{self.uri}"\n'
            f'keystore = "{folder / "keys"}"\n'
            f'account = "{name}"\n'
            f'password_file = "{self.network.password_file}"\n'
            f'state = "{folder / "state" / name}"\n'
            f'listen = "{"" if number == REQUESTER else listen}"\n'
            f"poll_interval = {POLL_SECONDS}\n"
            f"confirmations = {self.episode.confirmations}\n"
        )
        command = [sys.executable, "-m", "fedpact", "--config", str(config)]
        if number == REQUESTER:
            command += ["requester", "serve"]
        else:
            self.set_clock(number, 0)
            command[2:3] = ["tests.chaos.moved_clock", str(self._clock_file(number))]
            policy = self.policy_file(number)
            policy.write_text(POLICY.format(lifetime=LIFETIME))
            command += ["provider", "serve", "--data", str(self.data.files[number])]
            command += ["--policy", str(policy)]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        actor = Actor(name, command, folder / f"{name}.log", {**os.environ, **threads}, weather)
        self.actors.append(actor)
        return actor

    def set_clock(self, number: int, minutes: int) -> None:
        """Set one provider's clock against the machine's; takes effect within a second."""
        new = self._clock_file(number).with_suffix(".new")
        new.write_text(f"{60 * minutes}\n")
        new.replace(self._clock_file(number))

    def _clock_file(self, number: int) -> Path:
        return self.network.folder / f"clock-{number}"

    def start_all(self) -> None:
        """Start all actors, and measure how long that takes on this machine now."""
        began = time.monotonic()
        for actor in self.actors:
            actor.start()
        wait_until(
            lambda: all(actor.serving for actor in self.actors),
            lambda: "\n".join(f"{actor.name}: {actor.last_words()}" for actor in self.actors),
        )
        self.window = max(self.window, int(STARTS_EACH * (time.monotonic() - began)))

    def kill_all(self) -> None:
        for actor in self.actors:
            actor.kill()

    def kill_sender(self, number: int) -> None:
        """End the process that sends from this actor's account."""
        creation = self.creation
        if number == REQUESTER and creation is not None:
            os.killpg(creation.pid, signal.SIGKILL)
        else:
            self.actors[number].kill()

    def look(self, awaited: int | None) -> None:
        """Restart killed actors, and note those that ended by themselves."""
        for actor in self.actors:
            actor.look()
            if actor.runs:
                continue
            assert actor.process is not None
            if not actor.expected:
                code = actor.process.returncode
                self.ended.append(f"{actor.name} ended with code {code}: {actor.last_words()}")
            actor.start(awaited)

    # -- the store ------------------------------------------------------------------------------

    def stop_store(self) -> None:
        """Kill the IPFS node."""
        assert self.network.ipfs is not None
        process = self.network.ipfs.child.process
        process.kill()
        process.wait()

    def start_store(self) -> None:
        folder = self.network.folder / "ipfs"
        self.network.ipfs = IpfsNode.start(folder, port=self._ipfs_port)

    def store_url(self) -> str:
        return f"http://127.0.0.1:{self._ipfs_port}"

    # -- the requester --------------------------------------------------------------------------

    def write_draft(self, title: str) -> Path:
        """The draft and the evaluation set as files, as a requester has them."""
        folder = self.network.folder
        evaluation = folder / "evaluation.npz"
        names = np.array(self.data.draft.specification.labels)
        set_ = self.data.evaluation
        scale = self.data.draft.specification.features.scale
        np.savez(evaluation, x=set_.x * scale, y=names[set_.y])
        windows = dict.fromkeys(WINDOWS, self.window)
        terms = {"max_pool": PROVIDERS, "min_pool": PROVIDERS}
        draft = self.data.draft.changed(title=title, windows=windows, terms=terms, local=SLOW)
        path = folder / f"{title}.json"
        path.write_text(json.dumps(draft.fields))
        return path

    def create_once(self, draft: Path) -> int:
        """Run `fedpact request create` to its end; returns its exit code."""
        config = self.network.folder / "requester.toml"
        command = [sys.executable, "-m", "fedpact", "--config", str(config), "request", "create"]
        command += [str(draft), "--pay", PAYMENT, "--json"]
        command += ["--evaluation", str(self.network.folder / "evaluation.npz")]
        with (self.network.folder / "create.log").open("ab") as log:
            self.creation = start_with_parent(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        code = self.creation.wait()
        self.creation = None
        return code

    def ledger_file(self, number: int) -> Path:
        state = self.network.folder / "state" / self.actors[number].name
        return state / super().ledger_file(number).relative_to(self.network.folder / "state")

    def state_file(self, number: int) -> Path:
        state = self.network.folder / "state" / self.actors[number].name
        return state / super().state_file(number).relative_to(self.network.folder / "state")


@contextmanager
def chaos_world(episode: Episode, folder: Path) -> Iterator[ChaosWorld]:
    """Everything of an episode but the running daemons; all of it is ended at the end."""
    data = prepare(DemoOptions(providers=PROVIDERS, rounds=episode.rounds), folder)
    with running_network(folder, episode.store) as (network, registrar), ExitStack() as stack:
        world = ChaosWorld(network, registrar, data, episode)
        stack.callback(world.kill_all)
        if episode.store is StoreKind.IPFS:
            world.uri = stack.enter_context(store_with(world.store_weather, world.store_url))
            network.store = open_store(world.uri)
        for number in range(PROVIDERS + 1):
            weather = Weather(
                network.devnet.url,
                episode.seed + number,
                world.fired,
                partial(world.kill_sender, number),
            )
            weather.poor = episode.poor_node
            world.add(weather, stack.enter_context(node_with(weather)))
        yield world
