"""How each fault is injected. Nothing here waits: a later look ends what lasts."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from fedpact.chain.failover import Nodes
from tests.chaos.actors import Actor
from tests.chaos.schedule import (
    IPFS_ONLY,
    KILL,
    REORGANISED,
    Group,
    Kind,
    Strike,
)
from tests.chaos.world import ChaosWorld
from tests.support.disks import damage, full_disk, locked

LARGEST_FILE = 64 * 1024
"""Bytes; what a file may grow to on a full disk."""
HIGH_FEE, NORMAL_FEE = 20_000 * 10**9, 10**9
"""Wei for a gas."""
ETHER = 10**18
PLENTY = 100 * ETHER


class Striker:
    """Injects an episode's faults into its world."""

    def __init__(self, world: ChaosWorld) -> None:
        self._world = world
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._over = threading.Event()
        self._slow = False
        """Whether blocks are slow now."""
        self._beat: threading.Thread | None = None
        self._damaged: set[Path] = set()
        """Files of records that are not whole now."""

    def look(self) -> None:
        """End the faults whose time is over."""
        now = time.monotonic()
        due = [action for at, action in self._later if at <= now]
        self._later = [one for one in self._later if one[0] > now]
        for action in due:
            action()

    @property
    def busy(self) -> bool:
        """Whether any fault is active."""
        weather = any(actor.weather.active for actor in self._world.actors)
        return bool(self._later or weather or self._world.store_weather.active)

    def close(self) -> None:
        """End all faults now."""
        self._over.set()
        if self._beat is not None:
            self._beat.join()
        for _, action in self._later:
            action()
        self._later.clear()
        for actor in self._world.actors:
            actor.weather.disarm()

    def strike(self, strike: Strike) -> None:
        kind, world = strike.kind, self._world
        actor = world.actors[strike.target]
        match kind.group:
            case Group.NODE:
                actor.weather.strike(kind)
            case Group.SENDING | Group.CREATION:
                actor.weather.arm(kind)
            case Group.CHAIN:
                self._chain(kind)
            case Group.PROCESS:
                self._process(kind, actor)
            case Group.STORE:
                self._store(kind)
            case Group.FILES:
                self._files(kind, strike.target)
            case Group.CLOCK:
                self._clock(kind, strike.target)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _chain(self, kind: Kind) -> None:
        rpc = self._world.client.rpc
        self._world.fired(kind)
        if kind.name.startswith(REORGANISED):
            rpc.call("anvil_reorg", kind.amount, [])
        elif kind.name.startswith("base fee"):
            until = time.monotonic() + kind.seconds
            self._keep_fee(until)
        else:
            self._slow = True
            rpc.call("evm_setIntervalMining", kind.amount)
            self._after(kind.seconds, self._blocks_as_before)

    def _blocks_as_before(self) -> None:
        """A block for each transaction, and one each second: Anvil does both from its start on, but
        cannot go back to that."""
        self._world.client.rpc.call("evm_setAutomine", True)
        self._slow = False
        if self._beat is None:
            self._beat = threading.Thread(target=self._mine, daemon=True)
            self._beat.start()

    def _mine(self) -> None:
        with closing(Nodes(self._world.network.devnet.url)) as rpc:
            while not self._over.wait(1):
                if not self._slow:
                    rpc.call("evm_mine")

    def _keep_fee(self, until: float) -> None:
        over = time.monotonic() >= until
        fee = NORMAL_FEE if over else HIGH_FEE
        self._world.client.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(fee))
        if not over:
            self._after(0.5, lambda: self._keep_fee(until))

    def _process(self, kind: Kind, actor: Actor) -> None:
        world = self._world
        if kind == KILL:
            world.fired(kind)
            actor.kill()
        elif kind.name == "training killed":
            self._kill_training(kind, actor, time.monotonic() + kind.seconds)
        elif kind.name == "no ether":
            account = [*world.accounts, world.requester_keys][world.actors.index(actor)].address
            rpc = world.client.rpc
            rpc.call("anvil_setBalance", account, "0x0")
            world.fired(kind)
            back = hex(PLENTY)
            self._after(kind.seconds, lambda: rpc.call("anvil_setBalance", account, back))
        elif actor.runs:  # stopped
            assert actor.process is not None
            group = actor.process.pid
            os.killpg(group, signal.SIGSTOP)
            world.fired(kind)
            self._after(kind.seconds, lambda: _signal(group, signal.SIGCONT))

    def _kill_training(self, kind: Kind, actor: Actor, until: float) -> None:
        """As soon as an actor runs."""
        for process in actor.trainings():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self._world.fired(kind)
                return
        if time.monotonic() < until:
            self._after(0.05, lambda: self._kill_training(kind, actor, until))

    def _store(self, kind: Kind) -> None:
        world = self._world
        if kind.name in IPFS_ONLY and world.network.ipfs is None:
            return
        world.fired(kind)
        if kind.name == "store killed":
            world.stop_store()
            self._after(kind.seconds, world.start_store)
        elif kind.name == "store emptied":
            self._empty()
        elif kind.name == "store corrupted" and world.network.ipfs is None:
            for file in _largest_files(self._content, 3):
                with file.open("r+b") as opened:
                    opened.seek(file.stat().st_size // 2)
                    opened.write(os.urandom(16))
        else:
            world.store_weather.strike(kind)

    @property
    def _content(self) -> Path:
        folder = self._world.network.folder
        return folder / ("content/content" if self._world.network.ipfs is None else "ipfs/blocks")

    def _empty(self) -> None:
        """All content is gone, as after a lost disk."""
        for entry in self._content.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def _files(self, kind: Kind, number: int) -> None:
        world = self._world
        actor = world.actors[number]
        if kind.name == "disk full":
            if actor.runs:
                assert actor.process is not None
                held = ExitStack()
                held.enter_context(full_disk(actor.process, LARGEST_FILE))
                world.fired(kind)
                self._after(kind.seconds, lambda: _closed(held))
        elif kind.name == "state locked":
            held = ExitStack()
            with suppress(sqlite3.Error):
                held.enter_context(locked(world.state_file(number)))
                world.fired(kind)
                self._after(kind.seconds, lambda: _closed(held))
        elif kind.name == "page damaged":
            with suppress(sqlite3.Error, OSError):
                damage(world.state_file(number))
                world.fired(kind)
        else:
            self._records(kind, world.data.files[number])

    def _records(self, kind: Kind, path: Path) -> None:
        if path in self._damaged or not path.exists():
            return  # what is there is not what would have to be put back
        self._damaged.add(path)
        whole = path.read_bytes()
        self._world.fired(kind)
        if kind.name == "records truncated":
            path.write_bytes(whole[: len(whole) // 2])
        else:
            path.unlink()
        self._after(kind.seconds or 15, lambda: self._put_back(path, whole))

    def _put_back(self, path: Path, content: bytes) -> None:
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(path)
        self._damaged.remove(path)

    def _clock(self, kind: Kind, number: int) -> None:
        world = self._world
        world.fired(kind)
        world.set_clock(number, kind.amount)
        self._after(kind.seconds, lambda: world.set_clock(number, 0))


def _closed(held: ExitStack) -> None:
    """The held process may have ended."""
    with suppress(ProcessLookupError, sqlite3.Error):
        held.close()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _largest_files(folder: Path, count: int) -> list[Path]:
    files = [one for one in folder.rglob("*") if one.is_file()]
    return sorted(files, key=lambda one: one.stat().st_size)[-count:]
