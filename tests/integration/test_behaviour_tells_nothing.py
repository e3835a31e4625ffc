"""What two daemons do is the same, whether one particular record is in their data or not.

Each request is designed so that a daemon which looks at its records would decline, or fail to
submit, because of that one record. One daemon has it, the other has not: on chain nothing differs.
The record has also used up its budget, in an older data set.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.chain.devnet import Devnet
from fedpact.data.dataset import Dataset
from fedpact.data.declared import DeclaredData
from fedpact.data.proposal import as_toml
from fedpact.privacy.ledger_report import ReleaseId
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.provider.ledgers import open_ledger
from fedpact.provider.published import submissions
from fedpact.types.columns import ColumnSchema
from fedpact.types.requests import Status
from fedpact.types.schema import DataSchema, schema_file
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.serving import POLL, Serving

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


def use_up(market: DigitsMarket, data: Path) -> None:
    """The one record has used up its budget in an older data set, of which this one knows nothing
    but what the ledger says."""
    keys, folder = market.providers[0], market.folder / "daemon-0"
    target = DeclaredData.read(data, SCHEMA).units[-1:]
    with open_ledger(folder / "ledger.sqlite", keys) as ledger:
        old = ReleaseId(bytes(32), 0, 1)
        ledger.release(old, target, GaussianRelease(1e-3, 1.0, 1000), b"older")


@pytest.fixture(scope="module")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DigitsMarket]:
    folder = tmp_path_factory.mktemp("behaviour")
    market = open_digits_market(anvil, folder, 2)
    files = [
        write(folder / "with.csv", with_target=True, first=0),
        write(folder / "without.csv", with_target=False, first=1000),
    ]
    use_up(market, files[0])
    daemons = [Serving(anvil.url, market, number, path) for number, path in enumerate(files)]
    yield market
    for daemon in daemons:
        daemon.stop()


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_record_that_does_not_fit_changes_nothing_that_others_see(
    market: DigitsMarket, attack: str
) -> None:
    fields = {**SOUND, **HOSTILE[attack]}
    y = np.arange(8) % 2
    target = y.astype(np.float32) if "output" in fields else y.astype(np.int64)
    evaluation = Dataset(np.arange(8, dtype=np.float32).reshape(8, 1) / 8, target, ())
    first = int(market.client.rpc.call("eth_blockNumber"), 16) + 1
    request = market.requester.create(market.draft(**fields), evaluation, PAYMENT)
    end = market.requester.follow(request, poll_interval=POLL)
    assert end.status is Status.SETTLED
    members = market.client.pool.members(request)
    assert [member.samples for member in members] == [RECORDS + 1] * 2
    for keys in market.providers:
        made = [one.request for one, _ in submissions(market.client, keys.address)]
        assert made.count(request) == 1
    _check_calls(market, first)


FIRST_LESS_SECOND: dict[str, set[int]] = {}
"""By a call's selector: size of the first of both providers' less that of the second's, seen so
far."""


def _check_calls(market: DigitsMarket, first: int) -> None:
    """Both providers' calls from a block on have the sizes that their order explains, whoever has
    the record. One that the other's call forestalled is refused. Gas is not compared: it follows
    from seats, order and the round's public result, which differ from request to request."""
    calls = [one for one in calls_of_both(market, first) if one.status]
    for selector in {one.selector for one in calls}:
        both = [one for one in calls if one.selector == selector]
        if len({one.sender for one in both}) < 2:  # duties of one seat: starting, proposing
            continue
        assert len(both) == 2
        seen = FIRST_LESS_SECOND.setdefault(selector, set())
        seen.add(both[0].size - both[1].size)
        assert len(seen) == 1, (selector, seen)


@dataclass(frozen=True)
class Call:
    sender: str
    selector: str
    size: int
    """Bytes."""
    status: int


def calls_of_both(market: DigitsMarket, first: int) -> list[Call]:
    """The providers' calls from a block on, in order."""
    rpc, found = market.client.rpc, []
    accounts = {keys.address.lower() for keys in market.providers}
    for number in range(first, int(rpc.call("eth_blockNumber"), 16) + 1):
        for tx in rpc.call("eth_getBlockByNumber", hex(number), True)["transactions"]:
            if tx["from"].lower() not in accounts:
                continue
            data = bytes.fromhex(tx["input"][2:])
            receipt = rpc.call("eth_getTransactionReceipt", tx["hash"])
            status = int(receipt["status"], 16)
            found.append(Call(tx["from"], data[:4].hex(), len(data), status))
    return found
