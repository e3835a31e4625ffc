"""From settings to a running daemon: what `fedpact provider serve` does."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from fedpact.chain import deployment_file as deployments
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.content.store import ContentStore
from fedpact.content.store_address import open_store
from fedpact.learning.devices import resolved
from fedpact.monitor.health import Pulse
from fedpact.monitor.server import telling
from fedpact.provider.content_store import kept_store
from fedpact.provider.daemon import Daemon, DaemonSettings
from fedpact.provider.data_sets import ListedData, OwnData, listed
from fedpact.provider.dry_run import RehearsingDaemon, UnwrittenStore, copied_files
from fedpact.provider.files import (
    features_folder,
    ledger_file,
    outbox_file,
    snapshots_folder,
    state_file,
)
from fedpact.provider.metrics import ProviderMetrics
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import OwnRecords
from fedpact.provider.training.trainer import Trainer
from fedpact.provider.training.work import LocalWork
from fedpact.provider.training.worker_pool import WorkerPool
from fedpact.settings import Settings
from fedpact.signals import on_signals
from fedpact.types.deployment import SecondDeployment
from fedpact.waiting import when_there

if TYPE_CHECKING:
    from fedpact.exchange.gossip import Exchange

log = logging.getLogger(__name__)

SECONDS_PER_DAY = 24 * 3600
Watching = Callable[[SecondDeployment, "Exchange"], AbstractContextManager[None]]


@dataclass(frozen=True)
class ServedFiles:
    """What a provider serves with, as files."""

    policy: Path
    data: Path | None = None
    """None: those that the policy lists."""
    schema: Path | None = None
    """None: `schema_file(data)`."""
    new_data: bool = False
    """As `ledgers.introduce` takes it."""
    only_daemon: bool = False
    """As `DaemonSettings` takes it."""

    def listed(self, policy: Policy) -> tuple[ListedData, ...]:
        """The data sets to serve. Raises as `data_sets.listed`."""
        return listed(policy, self.data, self.schema)


def serve(
    settings: Settings,
    keys: AccountKeys,
    offer: ServedFiles,
    work: LocalWork | None = None,
    watching: Watching | None = None,
) -> None:
    """Serve requests until stopped (SIGINT, SIGTERM).

    `watching`: entered while the daemon runs; it is given the deployment and the exchange of
    rounds' messages.

    Raises SettingsError with all that is missing before anything is served, and DataError for a
    schema that cannot be read.
    """
    pulse = Pulse(settings.max_cycle_age)
    metrics = ProviderMetrics(pulse)
    reload = Event()
    with ExitStack() as opened:
        # From here on: SIGHUP ended a daemon that was still starting.
        opened.enter_context(on_signals(reload.set, signal.SIGHUP))
        opened.enter_context(telling(metrics, settings.monitor))
        client = when_there(lambda: connect(settings, keys), pulse.wait_for)
        opened.callback(client.close)
        store = when_there(
            lambda: kept_store(settings, client.deployment, keys.address), pulse.wait_for
        )
        needed = parts(settings, keys, offer, client, store, work)
        exchange = opened.enter_context(_exchange(settings, client))
        daemon = when_there(lambda: Daemon(*needed, metrics, exchange, reload), pulse.wait_for)
        when_there(daemon.check, pulse.wait_for)
        with _endpoint(settings, client, keys.address, exchange):
            if watching is not None:
                opened.enter_context(watching(client.deployment, exchange))
            daemon.give_up_when_stopped()
            daemon.run()


def rehearse(settings: Settings, keys: AccountKeys, offer: ServedFiles) -> None:
    """Decide on open requests and say so in the log until stopped, and send, store and charge
    nothing. Raises as `serve`."""
    with copied_files(settings, keys.address) as copy, closing(connect(copy, keys)) as client:
        store = open_store(*settings.store, credentials=settings.store_credentials)
        daemon = RehearsingDaemon(*parts(copy, keys, offer, client, UnwrittenStore(store)))
        daemon.check()
        log.info("dry run: nothing is sent, stored or charged")
        daemon.run()


def connect(settings: Settings, keys: AccountKeys) -> ChainClient:
    """To the nodes and the deployment in the settings, with the account's outbox."""
    deployment = deployments.load_second(settings.deployment)
    return ChainClient.connect(
        settings.endpoint,
        deployment,
        calls_per_minute=settings.calls_per_minute,
        outbox=outbox_file(settings.state, keys.address),
        max_fee=settings.max_fee,
        quorum=settings.quorum,
    )


Parts = tuple[
    ChainClient,
    SecondDeployment,
    ContentStore,
    AccountKeys,
    Policy,
    tuple[OwnData, ...],
    DaemonSettings,
    Trainer,
]


def parts(
    settings: Settings,
    keys: AccountKeys,
    offer: ServedFiles,
    client: ChainClient,
    store: ContentStore,
    work: LocalWork | None = None,
) -> Parts:
    """What a daemon is made of. `work`: other local work than the protocol's."""
    deployment, state = client.deployment, settings.state
    policy = Policy.read(offer.policy)
    return (
        client,
        deployment,
        store,
        keys,
        policy,
        tuple(own_data(one, state, keys.address) for one in offer.listed(policy)),
        DaemonSettings(
            state_file(state, deployment, keys.address),
            ledger_file(state, keys.address),
            settings.poll_interval,
            settings.confirmations,
            offer.new_data,
            offer.only_daemon,
            offer.policy,
            settings.keep_days * SECONDS_PER_DAY,
            state if settings.store_prune else None,
        ),
        WorkerPool(work or LocalWork(resolved(settings.device)), policy),
    )


def own_data(one: ListedData, state: Path, address: str) -> OwnData:
    """A listed data set, with the folders of an account's records."""
    folders = features_folder(state, address), snapshots_folder(state, address)
    return OwnData(one.name, OwnRecords(one.path, one.schema, *folders, one.name), one.policy)


@contextmanager
def _exchange(settings: Settings, client: ChainClient) -> "Iterator[Exchange]":
    """The exchange of rounds' messages."""
    fingerprint = client.deployment.fingerprint
    from fedpact.exchange.gossip import Exchange
    from fedpact.retrieval.http import OwnAddress

    own = OwnAddress(settings.advertised)
    with Exchange(fingerprint, own, settings.poll_interval) as exchange:
        exchange.start()
        yield exchange


@contextmanager
def _endpoint(
    settings: Settings, client: ChainClient, account: str, exchange: "Exchange"
) -> Iterator[None]:
    """Answers searches, and messages of rounds, while the daemon runs, if the
    settings name an address to listen on."""
    if not settings.listen:
        yield
        return
    # Loaded only if needed, to keep a daemon without an endpoint small.
    from fedpact.provider.search_node import SearchEndpoint, SearchNode

    node = SearchNode(
        client,
        open_store(*settings.store, credentials=settings.store_credentials),
        account,
        exchange.address,
        confirmations=settings.confirmations,
    )
    endpoint = SearchEndpoint(node, settings.listen, exchange=exchange)
    endpoint.start()
    try:
        yield
    finally:
        endpoint.stop()
