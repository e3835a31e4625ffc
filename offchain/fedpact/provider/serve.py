"""From settings to a running daemon: what `fedpact provider serve` does."""

import logging
from pathlib import Path

from fedpact.chain import deployment as deployments
from fedpact.chain import keystore
from fedpact.chain.client import ChainClient
from fedpact.content.store import open_store
from fedpact.provider.daemon import Daemon, DaemonSettings
from fedpact.provider.policy import Policy
from fedpact.provider.work import LocalWork
from fedpact.settings import Settings

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(settings: Settings, policy: Path, data: Path, work: LocalWork | None = None) -> None:
    """Serve requests over the data at `data` until stopped (SIGINT, SIGTERM).

    Raises SettingsError with all that is missing before anything is served.
    """
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    account = settings.chosen_account()
    password = keystore.read_password(settings.password_file)
    keys = keystore.unlock(settings.keystore, account, password)
    deployment = deployments.load(settings.deployment)
    client = ChainClient.connect(settings.endpoint, deployment)
    folder = settings.state / "provider" / deployment.fingerprint.hex()[:16] / keys.address.lower()
    daemon = Daemon(
        client,
        deployment,
        open_store(settings.store),
        keys,
        Policy.read(policy),
        data,
        DaemonSettings(folder, settings.poll_interval, settings.confirmations),
        work,
    )
    daemon.check()
    daemon.run()
