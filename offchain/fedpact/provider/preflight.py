"""Everything that serving needs, looked at together: what `fedpact provider check` does."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from fedpact.chain import deployment_file as deployments
from fedpact.chain.connection import Connection
from fedpact.chain.health import LAG
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.node_errors import Capability, RpcError
from fedpact.chain.records import Frame
from fedpact.content.store_address import open_store
from fedpact.data.declared import DeclaredData
from fedpact.errors import DeviceUnfit, FedpactError, TrainingFailed
from fedpact.learning.devices import resolved
from fedpact.learning.families.device_probe import check_device
from fedpact.monitor.resources import free_bytes
from fedpact.provider.dry_run import RehearsingDaemon, UnwrittenStore, copied_files
from fedpact.provider.policy import Policy
from fedpact.provider.serve import ServedFiles, connect, parts
from fedpact.provider.startup_checks import Level, Problem, found, problem, warning
from fedpact.settings import Settings
from fedpact.types.deployment import Deployment
from fedpact.types.device import PROCESSOR
from fedpact.types.urls import without_credentials

T = TypeVar("T")

CLOCK_SECONDS = 30
"""A block may be this much ahead of an honest clock; clients refuse more than 15 s."""
OLD_BLOCK_SECONDS = 900
LITTLE_DISK, LOW_DISK = 100 * 2**20, 2**30
"""Bytes below which a daemon cannot go on for long, and below which somebody should look."""


class Preflight:
    """Collects findings. Nothing is sent, stored or charged."""

    def __init__(
        self, settings: Settings, unlock: Callable[[], AccountKeys], offer: ServedFiles
    ) -> None:
        """`unlock`: opens the account's key store."""
        self._settings, self._unlock, self._offer = settings, unlock, offer
        self.findings: list[Problem] = []

    def run(self) -> list[Problem]:
        settings, offer = self._settings, self._offer
        keys = self._need("key store", self._unlock)
        policy = self._need("policy", partial(Policy.read, offer.policy))
        terms = policy or (Policy() if offer.data else None)  # a file of data needs no policy
        data = terms and self._need("schema", lambda: offer.listed(terms))
        deployment = self._need("deployment", partial(deployments.load, settings.deployment))
        self._nodes(deployment)
        for uri in settings.store:
            self._add("content store", partial(self._store, uri))
        self._add("disk", self._disk)
        self._add("device", self._device)
        self._add("endpoint", self._endpoint)
        if keys and policy and data and deployment:
            self._add("daemon", partial(self._daemon, keys))
        else:
            # Without the rest, at least whether the data fit their schemas.
            for one in data or ():
                shown = f"data {one.name}" if one.name else "data"
                self._need(shown, partial(DeclaredData.read, one.path, one.schema))
        return self.findings

    def _add(self, name: str, check: Callable[[], Iterable[Problem] | None]) -> None:
        self.findings += found(name, check)

    def _need(self, name: str, make: Callable[[], T]) -> T | None:
        made: list[T] = []
        self._add(name, lambda: made.append(make()))
        return made[0] if made else None

    def _nodes(self, deployment: Deployment | None) -> None:
        heads: list[tuple[str, Frame]] = []
        for endpoint in self._settings.endpoint:
            self._add("node", partial(_node, endpoint, deployment, heads))
        if heads:
            best = max(head.block_number for _, head in heads)
            for shown, head in heads:
                if head.block_number < best - LAG:
                    behind = best - head.block_number
                    self.findings.append(warning("node", f"{shown} is {behind} blocks behind"))
            self._add("clock", partial(_clock, max(head.timestamp for _, head in heads)))

    def _store(self, uri: str) -> Iterable[Problem]:
        name, credentials = "content store", self._settings.store_credentials
        try:
            with closing(open_store(uri, credentials=credentials)) as store:
                store.check()
                held = store.size() // 2**20
        except FedpactError as error:
            one_of_several = len(self._settings.store) > 1
            yield (warning if one_of_several else problem)(name, str(error))
        else:
            yield Problem(name, Level.OK, f"{without_credentials(uri)} holds {held} MiB")

    def _device(self) -> Iterable[Problem]:
        device = resolved(self._settings.device)
        if device == PROCESSOR:
            yield Problem("device", Level.OK, "training is on the processor")
            return
        try:
            check_device(device)
        except (DeviceUnfit, TrainingFailed) as refusal:
            yield problem("device", str(refusal))
        else:
            said = "two small networks kept what sound rests on: clipped in one pass, an example "
            said += "gave the same bits in any company; clipped by itself, each time"
            said = f"on {device} {said}; tried again for each sound request"
            yield Problem("device", Level.OK, said)

    def _endpoint(self) -> Iterable[Problem]:
        if self._settings.listen:
            said = f"{self._settings.listen}, which others are told to reach as"
            yield Problem("endpoint", Level.OK, f"{said} {self._settings.advertised}")
        else:
            said = "none, since listen is empty: where no other member of a request has one either,"
            said += " each step of a round is a transaction of its own, at ten times the gas"
            yield warning("endpoint", said)

    def _disk(self) -> Iterable[Problem]:
        folders = [self._settings.state]
        folders += [Path(uri) for uri in self._settings.store if "://" not in uri]
        for folder in dict.fromkeys(_existing(folder) for folder in folders):
            if not os.access(folder, os.W_OK):
                yield problem("disk", f"folder {folder} cannot be written")
            free = free_bytes(folder)
            said = f"{free // 2**20} MiB are free in {folder}"
            if free < LITTLE_DISK:
                yield problem("disk", said)
            elif free < LOW_DISK:
                yield warning("disk", said)

    def _daemon(self, keys: AccountKeys) -> Iterable[Problem]:
        settings = self._settings
        with copied_files(settings, keys.address) as copy, closing(connect(copy, keys)) as client:
            store = open_store(*settings.store, credentials=settings.store_credentials)
            made = parts(copy, keys, self._offer, client, UnwrittenStore(store))
            daemon = RehearsingDaemon(*made)
            try:
                # Each store has been looked at.
                return [one for one in daemon.examine() if one.name != "content store"]
            finally:
                daemon.close()


def _node(
    endpoint: str, deployment: Deployment | None, heads: list[tuple[str, Frame]]
) -> Iterable[Problem]:
    client = Connection.connect(endpoint, deployment)
    try:
        [node] = client.rpc.nodes
        client.follow_heads()  # finds out whether it pushes heads
        head = client.frame()
        heads.append((node.shown, head))
        client.balance("0x" + 40 * "0", head)  # finds out whether it reads at a block's hash
        try:
            node.call("eth_maxPriorityFeePerGas", [])
        except RpcError as error:
            if error.fault.capability is not None:
                node.lacks.add(error.fault.capability)
        lacks = sorted(one.value for one in node.lacks - {Capability.RANGE})
        missing = f"; it lacks {', '.join(lacks)}, and is used without" if lacks else ""
        pushes = " and pushes new heads" if node.agreed_to_push else ""
        said = f"{node.shown} is at block {head.block_number}{pushes}{missing}"
        yield Problem("node", Level.OK, said)
    finally:
        client.close()


def _clock(newest: int) -> Iterable[Problem]:
    ahead = newest - time.time()
    if ahead > CLOCK_SECONDS:
        yield warning("clock", f"this machine is {ahead:.0f} s behind the chain: set its clock")
    elif ahead < -OLD_BLOCK_SECONDS:
        yield warning(
            "clock",
            f"the latest block is {-ahead:.0f} s old: the chain stands still, the node lags, or"
            " this machine's clock is ahead",
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    return next(one for one in (folder, *folder.parents) if one.exists())
