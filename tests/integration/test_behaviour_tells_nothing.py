"""What a daemon does is the same, whether one particular record is in its data or not.

Each request is designed so that a daemon which looks at its records would decline, or fail to
submit, because of that one record, which has also used up its budget in an older data set. Each is
played twice from the same state of the chain: the first provider has the record, then the second.
All that others see of a call but what it says must be equal: who makes it, when, its size and gas.
Seats and order are equal too, so that nothing has to be excused.

Gas is compared without the part for the call's bytes, which are digests and signatures: a byte that
happens to be 0 costs less.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.chain.abi import MARKET, POOL, ROUNDS, contract_abi
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.data.dataset import Dataset
from fedpact.data.declared import DeclaredData
from fedpact.data.schema_draft import as_toml
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.ledger.opening import open_ledger
from fedpact.types.columns import ColumnSchema
from fedpact.types.requests import Status
from fedpact.types.schema import DataSchema, schema_file
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.patient_service import PatientService
from tests.support.serving import POLL, daemon_of
from tests.support.waiting import PATIENCE

LABELS = ("healthy", "diabetes", "hiv")
RECORDS = 40
SCHEMA = DataSchema(
    data_id="00" * 16,
    category="people",
    units=RECORDS + 1,
    unit="record",
    labels=LABELS,
    columns=(
        ColumnSchema(name="age", range=(0.0, 120.0)),
        ColumnSchema(name="income", range=(0.0, 1e6)),
        ColumnSchema(name="note", range=(0.0, 1e6)),
    ),
)
SOUND = {
    "labels": list(LABELS[:2]),
    "features": {"shape": [1], "columns": ["age"], "scale": 100.0},
    "family": {"name": "softmax-regression"},
    "local": {"steps": 1, "learning_rate": 0.5},
    "rounds": 1,
    "score": "model",
    "max_error": 10_000,
    "privacy": {"mode": "sound", "epsilon": 2.0, "delta": 1e-5, "clipping_norm": 1.0},
}
HOSTILE: dict[str, dict[str, Any]] = {
    "a label that is left out": {},
    "a column that is no number there": {
        "features": {"shape": [1], "columns": ["note"], "scale": 100.0}
    },
    "a scale at which only its income is extreme": {
        "features": {"shape": [1], "columns": ["income"], "scale": 1e-6}
    },
    "a regression on its column that is no number": {
        "labels": [],
        "task": "regression",
        "family": {"name": "linear-regression"},
        "output": {"column": "note", "scale": 100.0},
    },
}


OWN_CALLS = ("enrol", "submit", "commitVotes", "revealVotes", "attest")
"""Each provider makes them, in a request of one round without messages."""
ONE_CALLS = ("start", "finalise", "deliver")
"""Whoever's turn it is makes them."""
FUNCTIONS = {
    function.selector: name
    for contract in (MARKET, POOL, ROUNDS)
    for name, function in contract_abi(contract).functions.items()
}


def write(path: Path, *, with_target: bool, first: int) -> Path:
    rows = ["age,income,note,label"]
    generator = np.random.default_rng(first)
    for number in range(first, first + RECORDS):
        age, income = generator.integers(20, 90), generator.integers(10_000, 90_000)
        rows.append(f"{age},{income},{number},{LABELS[number % 2]}")
    if with_target:
        rows.append("41,212345000,confidential,hiv")
    path.write_text("\n".join(rows) + "\n")
    schema_file(path).write_text(as_toml(SCHEMA))
    return path


def use_up(market: DigitsMarket, number: int, data: Path) -> None:
    """The one record has used up its budget in an older data set, of which this one knows nothing
    but what the ledger says."""
    folder = market.folder / f"daemon-{number}"
    folder.mkdir()
    target = DeclaredData.read(data, SCHEMA).units[-1:]
    with open_ledger(folder / "ledger.sqlite", market.providers[number]) as ledger:
        old = ReleaseId(bytes(32), 0, 1)
        ledger.release(old, target, GaussianRelease(1e-3, 1.0, 1000), b"older")


@dataclass(frozen=True)
class Seen:
    """A provider's transaction, as everybody sees it, but for what it says."""

    provider: int
    function: str
    size: int
    """Bytes."""
    succeeded: bool
    block: int
    """Since the request."""
    seconds: int
    """By the chain's clock, since the request."""
    gas: int


class Play:
    """Both daemons and the requester take turns in one thread, and the chain's clock moves by a
    second a block: nothing depends on the load of the machine."""

    def __init__(self, chain: Devnet, market: DigitsMarket, holder: int, folder: Path) -> None:
        """`holder`: who has the record."""
        folder.mkdir()
        client = ChainClient.connect(chain.url, market.client.deployment)
        store = EmbeddedStore(folder / "content")
        self._chain = chain
        self._market = market = replace(market, client=client, store=store, folder=folder)
        files = [
            write(folder / f"{n}.csv", with_target=n == holder, first=1000 * n) for n in range(2)
        ]
        use_up(market, holder, files[holder])
        self._daemons = [
            daemon_of(chain.url, market, number, file, poll_seconds=PATIENCE)
            for number, file in enumerate(files)
        ]
        self._service = PatientService(market.requester, POLL)

    def request(self, fields: dict[str, Any]) -> list[Seen]:
        """Play a request to its end; what the providers sent."""
        market = self._market
        y = np.arange(8) % 2
        target = y.astype(np.float32) if "output" in fields else y.astype(np.int64)
        evaluation = Dataset(np.arange(8, dtype=np.float32).reshape(8, 1) / 8, target, ())
        request = market.requester.create(market.draft(**fields), evaluation, PAYMENT)
        first = self._head
        while market.client.market.request(request).status is not Status.SETTLED:
            before = self._head
            for actor in (*self._daemons, self._service):
                actor.cycle()
            if self._head == before:
                self._chain.mine()
        members = market.client.pool.members(request)
        assert [member.samples for member in members] == [RECORDS + 1] * 2
        return list(self._seen(first))

    @property
    def _head(self) -> int:
        return int(self._market.client.rpc.call("eth_blockNumber"), 16)

    def _seen(self, first: int) -> Iterator[Seen]:
        rpc = self._market.client.rpc
        providers = [keys.address.lower() for keys in self._market.providers]
        began = int(rpc.call("eth_getBlockByNumber", hex(first), False)["timestamp"], 16)
        for number in range(first + 1, self._head + 1):
            block = rpc.call("eth_getBlockByNumber", hex(number), True)
            for tx in block["transactions"]:
                if tx["from"] not in providers:
                    continue
                data = bytes.fromhex(tx["input"][2:])
                receipt = rpc.call("eth_getTransactionReceipt", tx["hash"])
                yield Seen(
                    providers.index(tx["from"]),
                    FUNCTIONS[data[:4]],
                    len(data),
                    receipt["status"] == "0x1",
                    number - first,
                    int(block["timestamp"], 16) - began,
                    int(receipt["gasUsed"], 16) - calldata_gas(data),
                )

    def close(self) -> None:
        for daemon in self._daemons:
            daemon.close()
        self._market.client.close()


def calldata_gas(data: bytes) -> int:
    """What a transaction pays for its bytes (EIP-2028); digests and signatures are random."""
    return sum(16 if byte else 4 for byte in data)


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[list[Seen]]]]:
    """By attack: the request with the record in the first provider's data, and, from the same state
    of the chain, the same request with the record in the second's."""
    folder = tmp_path_factory.mktemp("behaviour")
    found: dict[str, list[list[Seen]]] = {attack: [] for attack in HOSTILE}
    # A block for each transaction, and no others.
    with Devnet.start(folder / "anvil", block_time=10**6) as chain:
        market = open_digits_market(chain, folder, 2)
        rpc = market.client.rpc
        rpc.call("anvil_setBlockTimestampInterval", 1)
        for holder in range(2):
            begun = rpc.call("evm_snapshot")
            play = Play(chain, market, holder, folder / f"record-at-{holder}")
            for attack, fields in HOSTILE.items():
                found[attack].append(play.request({**SOUND, **fields}))
            play.close()
            rpc.call("evm_revert", begun)
        yield found


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_record_that_does_not_fit_changes_nothing_that_others_see(
    plays: dict[str, list[list[Seen]]], attack: str
) -> None:
    one, swapped = plays[attack]
    for provider in range(2):
        assert set(OWN_CALLS) <= {call.function for call in one if call.provider == provider}
    assert sorted(call.function for call in one) == sorted([*OWN_CALLS, *OWN_CALLS, *ONE_CALLS])
    assert all(call.succeeded for call in one)
    assert one == swapped
