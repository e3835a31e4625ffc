"""Providers' daemons as threads of one process, with seeded noise, so that a simulator can repeat
them."""

import threading
from collections.abc import Callable
from pathlib import Path

from fedpact.chain.client import ChainClient
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.data.schema_draft import as_toml, propose
from fedpact.features.networks.pinned import PINNED_NETWORKS
from fedpact.learning.artefact import encode
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from fedpact.provider.daemon import Daemon, DaemonSettings
from fedpact.provider.data_sets import OwnData
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import OwnRecords
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.provider.training.trainer import InProcess
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.types.schema import DataSchema, schema_file
from tests.support.committee import DigitsMarket
from tests.support.waiting import PATIENCE

POLL = 0.2
"""Seconds. Daemons that look more often take time from each other."""


def noise_at(seat: int, round_number: int) -> SeededNoise:
    """Random bits that daemon and simulator share; a real provider takes them from the system."""
    return SeededNoise(1000 * seat + round_number)


def declare(data: Path, **changes: object) -> None:
    """Write a schema beside a provider's data; `changes` replace what is proposed."""
    proposed = propose(data, "test", unit=None if data.suffix != ".csv" else "record")
    schema_file(data).write_text(as_toml(proposed.model_copy(update=changes)))


class SeededWork(LocalWork):
    def train(self, task: TrainingTask, on_step: Callable[[int, int], None] | None = None) -> bytes:
        model = train_local(
            LocalTraining(
                task.spec,
                task.local.start,
                task.dataset,
                noise=noise_at(task.own_seat, task.round),
                data_noise=noise_at(task.own_seat, 0),
                round_and_seat=(task.round, task.own_seat),
                correction=task.local.correction,
            )
        )
        return encode(model)


class Serving:
    """One provider's daemon in a thread; `restart` leaves it only its files.

    networks: of its policy, besides those by default.
    """

    def __init__(
        self,
        url: str,
        market: DigitsMarket,
        number: int,
        data: Path,
        networks: tuple[str, ...] = (),
    ) -> None:
        self._url, self._market, self._number, self._data = url, market, number, data
        self._networks = networks
        self._daemon: Daemon | None = None
        self._start()

    @property
    def serves(self) -> bool:
        return self._thread.is_alive()

    def standings(self) -> dict[int, tuple[str, str]]:
        """What the daemon has decided about each request, and why."""
        market = self._market
        path = market.folder / f"daemon-{self._number}" / "state.sqlite"
        address = market.providers[self._number].address
        seen = ProviderState(path, market.client.deployment, address)
        try:
            return {request: (str(what), why) for request, what, why in seen.all_requests()}
        finally:
            seen.close()

    def restart(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "a daemon did not stop"

    def _start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE)

    def _serve(self, ready: threading.Event) -> None:
        self._daemon = daemon_of(
            self._url, self._market, self._number, self._data, networks=self._networks
        )
        ready.set()
        self._daemon.run()


def daemon_of(
    url: str,
    market: DigitsMarket,
    number: int,
    data: Path,
    *,
    networks: tuple[str, ...] = (),
    poll_seconds: float = POLL,
) -> Daemon:
    """The daemon of one provider, in this process; its files are in the market's folder."""
    folder = market.folder / f"daemon-{number}"
    folder.mkdir(exist_ok=True)
    client = ChainClient.connect(url, market.client.deployment)
    policy = Policy(
        accept_without_privacy=True,
        accept_paper_privacy=True,
        min_samples=5,
        epsilon_per_request=9.0,
        epsilon_per_requester=32.0,
        epsilon_lifetime=32.0,
        submit_after=0.0,
        networks=(*PINNED_NETWORKS, *networks),
    )
    settings = DaemonSettings(folder / "state.sqlite", folder / "ledger.sqlite", poll_seconds)
    declared = DataSchema.read(schema_file(data))
    records = OwnRecords(data, declared, folder / "features", folder / "snapshots")
    return Daemon(
        client,
        market.client.deployment,
        EmbeddedStore(market.folder / "content"),
        market.providers[number],
        policy,
        (OwnData("", records, policy),),
        settings,
        InProcess(SeededWork()),
    )
