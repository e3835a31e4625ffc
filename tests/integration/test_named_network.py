"""A request that names an image network by its CID: daemons fetch it if their policy lists it."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from fedpact.audit import audit
from fedpact.chain.devnet import Devnet
from fedpact.data.dataset import Dataset
from fedpact.data.sources import digits
from fedpact.features.networks import named
from fedpact.types.requests import Status
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.networks import SIDE, WIDTH, small_network
from tests.support.serving import POLL, Serving, declare
from tests.support.waiting import wait_until

ACCEPTED, UNKNOWN = small_network(seed=1), small_network(seed=2)


@pytest.fixture(scope="module")
def daemons(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Serving]]:
    folder = tmp_path_factory.mktemp("named")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(named.FOLDER_VARIABLE, str(folder / "networks"))
        market, source = open_digits_market(anvil, folder, 2), digits()
        digest = sha256(ACCEPTED).hexdigest()
        found = []
        for number, rows in enumerate(np.array_split(np.arange(120), 2)):
            path = folder / f"{number}.npz"
            x = source.x_train[rows].reshape(-1, 8, 8).astype(np.float32)
            np.savez(path, x=x, y=source.y_train[rows].astype(str))
            declare(path)
            found.append(Serving(anvil.url, market, number, path, (digest,)))
        yield found
        for daemon in found:
            daemon.stop()
    named._session.cache_clear()


def ask(market: DigitsMarket, content: bytes) -> int:
    """A request for images, 8 x 8, on this network, which only the store has so far."""
    cid, digest = market.store.put(content), sha256(content).hexdigest()
    parameters = {"network": str(cid), "digest": digest, "side": SIDE, "width": WIDTH}
    fields: dict[str, Any] = {
        "features": {"shape": [8, 8], "scale": 16.0},
        "family": {"name": "network-linear", "parameters": parameters},
        "local": {"steps": 1, "learning_rate": 5.0},
        "privacy": {"mode": "sound", "epsilon": 4.0, "delta": 1e-5, "clipping_norm": 0.3},
    }
    source = digits()
    x = source.x_train[200:260].reshape(-1, 8, 8).astype(np.float32) / np.float32(16)
    evaluation = Dataset(x, source.y_train[200:260].astype(np.int64), ())
    return market.requester.create(market.draft(**fields), evaluation, PAYMENT)


def decision(daemon: Serving, request: int) -> tuple[str, str]:
    return daemon.standings().get(request, ("", ""))


def test_daemons_fetch_a_network_that_their_policy_lists_and_no_other(
    daemons: list[Serving],
) -> None:
    market = daemons[0]._market
    folder = named.networks_folder()
    refused = ask(market, UNKNOWN)
    for daemon in daemons:
        wait_until(lambda one=daemon: decision(one, refused)[0] == "declined", "it did not decline")
        assert "is not among" in decision(daemon, refused)[1]
        assert sha256(UNKNOWN).hexdigest() in decision(daemon, refused)[1]
    assert not folder.exists()

    request = ask(market, ACCEPTED)
    end = market.requester.follow(request, poll_interval=POLL)
    assert end.status is Status.SETTLED
    assert audit(market.client, market.store, request, market.auditor).failed == []
    assert [path.name for path in folder.iterdir()] == [f"{sha256(ACCEPTED).hexdigest()}.onnx"]
