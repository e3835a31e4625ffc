"""A provider's data made known to its ledger: after an upgrade, under other names and accounts."""

import stat
from pathlib import Path

import numpy as np
import pytest

from fedpact.chain.keystore import AccountKeys
from fedpact.data.declared import DeclaredData
from fedpact.data.schema_draft import propose
from fedpact.errors import BudgetExceeded, DataError, LedgerError
from fedpact.privacy.accounting import rdp, rdp_cost
from fedpact.privacy.ledger.ledger import Ledger, Payers
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider import profile
from fedpact.provider.files import ledger_file
from fedpact.provider.ledger.opening import introduce, open_ledger, owner_key
from fedpact.provider.policy import Policy
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema

VECTORS = Path(__file__).parents[3] / "vectors"
FORMER_KEY = bytes(range(32))
DELTA = 1e-5
FULL, SAMPLED = GaussianRelease(5.0, 1.0, 2), GaussianRelease(2.0, 0.1, 10)
AMPLE = PrivacyLimit(8.0, DELTA)


def account(number: int) -> AccountKeys:
    from eth_account import Account

    return AccountKeys(Account.from_key(bytes([number]) * 32))


def people(folder: Path, name: str = "people.csv", index: bool = False) -> Path:
    """The rows from which `ledger-v2.sqlite` was made."""
    rows = [f"{20 + n % 40},{1.5 + n / 100},{'yes' if n % 3 else 'no'}" for n in range(60)]
    head = "age,height,label"
    if index:
        head, rows = f",{head}", [f"{n},{row}" for n, row in enumerate(rows)]
    (folder / name).write_text("\n".join([head, *rows]) + "\n")
    return folder / name


def read(path: Path, units: int = 100) -> DeclaredData:
    schema = DataSchema(
        data_id="d" * 32,
        category="people",
        units=units,
        unit="record",
        labels=("yes", "no"),
        columns=(
            ColumnSchema(name="age", range=(0.0, 120.0)),
            ColumnSchema(name="height", range=(0.0, 3.0)),
        ),
    )
    return DeclaredData.read(path, schema)


def charge(ledger: Ledger, data: DeclaredData, request: int = 1) -> None:
    release = ReleaseId(b"\1" * 32, request, 1)
    ledger.begin(release, data.units, FULL, Payers(data.schema.data_id, "0xA", AMPLE, AMPLE))
    ledger.keep(release, b"x", at=0)
    ledger.publishing(release)


def test_an_upgrade_resets_nobodys_spend(tmp_path: Path) -> None:
    """`ledger-v2.sqlite` is of the code before; people 0-39 took part in two full-batch releases,
    20-59 in one sampled one."""
    path = tmp_path / "provider" / "0xa" / "privacy.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes((VECTORS / "ledger-v2.sqlite").read_bytes())
    data = read(people(tmp_path))
    with Ledger(path, owner_key(path.parent.parent), former_key=FORMER_KEY) as ledger:
        for request in (2, 3):
            ledger.end(b"\7" * 32, request)
        assert ledger.has_former_units
        for _ in range(2):  # a second start changes nothing
            introduce(ledger, data)
            for number, spent in (
                (0, rdp(FULL.times(2))),
                (30, rdp(FULL.times(2)) + rdp(SAMPLED)),
                (59, rdp(SAMPLED)),
            ):
                found = ledger.spent(DELTA, [data.units[number]]).epsilon
                assert found >= rdp_cost(spent, DELTA, 1).epsilon
                assert found == pytest.approx(rdp_cost(spent, DELTA).epsilon, rel=1e-3)
        # In another format they are the same units from now on.
        again = read(people(tmp_path, "index.csv", index=True))
        assert again.units == data.units
        limit = PrivacyLimit(ledger.spent(DELTA).epsilon * 1.02, DELTA)
        who = Payers("new", "0xA", limit, AMPLE)
        left = ledger.begin(ReleaseId(b"\1" * 32, 9, 1), again.units, FULL, who)
        assert not left & set(data.units[20:40])


def test_a_ledger_of_before_opens_with_its_account_and_then_with_its_owner(tmp_path: Path) -> None:
    keys = account(1)
    path = ledger_file(tmp_path, keys.address)
    path.parent.mkdir(parents=True)
    path.write_bytes((VECTORS / "ledger-v2.sqlite").read_bytes())
    with pytest.raises(LedgerError, match="belongs to another owner"):
        open_ledger(path, keys)  # it is not this account's
    Ledger(path, owner_key(path.parent.parent), former_key=FORMER_KEY).close()
    open_ledger(path, keys).close()
    owner = path.parent.parent / "owner.key"
    assert stat.S_IMODE(owner.stat().st_mode) == 0o600
    owner.unlink()
    with pytest.raises(LedgerError, match=r"restore the owner\.key"):
        open_ledger(path, keys)


def test_units_charged_under_another_account_of_the_owner_are_found(tmp_path: Path) -> None:
    data = read(people(tmp_path))
    first, second = (ledger_file(tmp_path, account(n).address) for n in (1, 2))
    with open_ledger(first, account(1)) as ledger:
        introduce(ledger, data)
        charge(ledger, data)
    with (
        open_ledger(second, account(2)) as ledger,
        pytest.raises(DataError, match="60 of 60 privacy units are charged in the ledger of"),
    ):
        introduce(ledger, data, new_data=True)


def renamed(folder: Path, name: str, start: int, seed: int = 0) -> DeclaredData:
    x = np.random.default_rng(seed).uniform(1, 40, (80, 2))
    rows = [f"{a},{b},{start + n}" for n, (a, b) in enumerate(x.tolist())]
    path = folder / name
    path.write_text("\n".join(["age,height,patient", *rows]) + "\n")
    return DeclaredData.read(path, propose(path, "people", output_column="age", unit="patient"))


def test_data_that_look_like_charged_ones_and_share_no_unit_stop_with_a_question(
    tmp_path: Path,
) -> None:
    keys = account(1)
    with open_ledger(ledger_file(tmp_path, keys.address), keys) as ledger:
        old = renamed(tmp_path, "old.csv", 0)
        introduce(ledger, old)
        introduce(ledger, renamed(tmp_path, "free.csv", 500))  # nothing was charged yet
        charge(ledger, old)
        introduce(ledger, old)
        introduce(ledger, renamed(tmp_path, "other.csv", 2000, seed=1))  # looks different
        again = renamed(tmp_path, "again.csv", 1000)
        with pytest.raises(DataError, match=r"they look like data set .*--new-data"):
            introduce(ledger, again)
        introduce(ledger, again, new_data=True)
        introduce(ledger, again)  # answered for these units
        with pytest.raises(DataError, match="--new-data"):
            introduce(ledger, renamed(tmp_path, "third.csv", 3000))


def test_a_profile_is_charged_to_its_data_set_as_to_its_units(tmp_path: Path) -> None:
    """Otherwise requests would be joined for which the units have nothing left."""
    data, keys = read(people(tmp_path)), account(1)
    policy = Policy(categories=("people",), profile_epsilon=4.0)
    limit = PrivacyLimit(4.0, DELTA)
    with open_ledger(ledger_file(tmp_path, keys.address), keys) as ledger:
        profile.build(profile.profile_data(data), ("people",), policy, ledger, ("yes", "no"))
        with pytest.raises(BudgetExceeded, match="data set's"):
            ledger.hold(b"\1" * 32, 1, FULL, Payers("d" * 32, "0xA", limit, AMPLE))
