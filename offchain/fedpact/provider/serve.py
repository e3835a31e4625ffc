"""From settings to a running daemon: what `fedpact provider serve` does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedpact.chain import deployment as deployments
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.content.opening import open_store
from fedpact.errors import SettingsError
from fedpact.provider.daemon import Daemon, DaemonSettings
from fedpact.provider.files import features_folder, ledger_file, outbox_file, state_file
from fedpact.provider.monitor.metrics import Metrics
from fedpact.provider.monitor.pulse import Pulse
from fedpact.provider.monitor.server import MonitorServer
from fedpact.provider.policy import Policy
from fedpact.provider.records import OwnRecords
from fedpact.provider.work import LocalWork
from fedpact.settings import Settings
from fedpact.types.schema import DataSchema, schema_file


def serve(
    settings: Settings,
    keys: AccountKeys,
    policy: Path,
    data: Path,
    schema: Path | None = None,
    work: LocalWork | None = None,
    *,
    new_data: bool = False,
) -> None:
    """Serve requests over the data at `data` until stopped (SIGINT, SIGTERM).

    `schema`: the data's schema file; by default `schema_file(data)`. `new_data`: as
    `ledgers.introduce` takes it.
    Raises SettingsError with all that is missing before anything is served, and DataError for a
    schema that cannot be read.
    """
    declared = schema or schema_file(data)
    if not declared.is_file():
        raise SettingsError(
            f"no schema {declared} for the data {data}: draft one with `fedpact data declare`"
        )
    metrics = Metrics(Pulse(settings.max_cycle_age))
    with _monitor(settings, metrics):
        deployment = deployments.load(settings.deployment)
        client = ChainClient.connect(
            settings.endpoint,
            deployment,
            calls_per_minute=settings.calls_per_minute,
            outbox=outbox_file(settings.state, keys.address),
            max_fee=settings.max_fee,
            quorum=settings.quorum,
        )
        daemon = Daemon(
            client,
            deployment,
            open_store(*settings.store, credentials=settings.store_credentials),
            keys,
            Policy.read(policy),
            OwnRecords(
                data,
                DataSchema.read(declared),
                features_folder(settings.state, keys.address),
            ),
            DaemonSettings(
                state_file(settings.state, deployment, keys.address),
                ledger_file(settings.state, keys.address),
                settings.poll_interval,
                settings.confirmations,
                new_data,
                policy,
            ),
            work,
            metrics,
        )
        daemon.check()
        with _endpoint(settings, client, keys.address):
            daemon.run()


@contextmanager
def _monitor(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Tells health and metrics from before the checks on, if the settings name an address."""
    if not settings.monitor:
        yield
        return
    server = MonitorServer(metrics, settings.monitor)
    server.start()
    try:
        yield
    finally:
        server.stop()


@contextmanager
def _endpoint(settings: Settings, client: ChainClient, account: str) -> Iterator[None]:
    """Answers searches while the daemon runs, if the settings name an address to listen on."""
    if not settings.listen:
        yield
        return
    # Loaded only if needed, to keep a daemon without an endpoint small.
    from fedpact.provider.searching import SearchEndpoint, SearchNode

    node = SearchNode(
        client,
        open_store(*settings.store, credentials=settings.store_credentials),
        account,
        settings.advertised,
        confirmations=settings.confirmations,
    )
    endpoint = SearchEndpoint(node, settings.listen)
    endpoint.start()
    try:
        yield
    finally:
        endpoint.stop()
