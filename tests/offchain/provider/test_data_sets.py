"""Several data sets of one daemon: which of them serves a request, and what they cost together."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedpact.errors import BudgetExceeded, PolicyRefusal, SettingsError
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.provider.data_sets import listed, served_on
from fedpact.provider.duties.deciding import match_to_join
from fedpact.provider.duties.declining import public_reason
from fedpact.provider.files import snapshots_folder
from fedpact.provider.own import Own
from fedpact.provider.policy import Policy
from fedpact.provider.serve import own_data
from fedpact.types.decline_reason import Reason
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification
from tests.offchain.provider.test_policy import PAYMENT, specification

PUMPS = """
data_id = "{data_id}"
category = "{category}"
units = 500
unit = "{unit}"
labels = ["0", "1"]

[[columns]]
name = "torque"
range = [0.0, 9.0]

[[columns]]
name = "{other}"
range = [0.0, 9.0]
"""


def schema(
    path: Path, data_id: str = "a", other: str = "speed", unit: str = "record", category: str = "x"
) -> None:
    text = PUMPS.format(data_id=data_id * 32, other=other, unit=unit, category=category)
    path.write_text(text)


def asks(*columns: str, **changes: object) -> Specification:
    return specification(features={"shape": [len(columns)], "columns": list(columns)}, **changes)


def policy_of(folder: Path, text: str) -> Policy:
    path = folder / "policy.toml"
    path.write_text(text)
    return Policy.read(path)


TWO = """
{common}
[[data]]
name = "pumps"
path = "pumps.csv"
{first}
[[data]]
name = "valves"
path = "sub/valves.csv"
schema_file = "valves.toml"
{second}
"""


def two(folder: Path, *, common: str = "", first: str = "", second: str = "") -> Policy:
    return policy_of(folder, TWO.format(common=common, first=first, second=second))


def own(folder: Path, policy: Policy, ledger: Ledger) -> Own:
    data = tuple(own_data(one, folder, "0xa") for one in listed(policy, None, None))
    unused: Any = None
    return Own(unused, policy, data, unused, ledger, unused)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite", bytes(32)) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Schemas alone: no file of data is there, and none is asked for."""
    schema(tmp_path / "pumps.csv.schema.toml", "a", "speed")
    schema(tmp_path / "valves.toml", "b", "pressure")
    return tmp_path


def matched(own: Own, spec: Specification, request: int = 1) -> str:
    return match_to_join(own, spec, PAYMENT, "0xA", (bytes(32), request)).data.name


def test_a_request_is_served_with_the_data_set_whose_schema_fits(
    folder: Path, ledger: Ledger
) -> None:
    """No file of records exists: what is declared decides."""
    serving = own(folder, two(folder, first="disjoint = true"), ledger)
    assert matched(serving, asks("torque", "speed"), 1) == "pumps"
    assert matched(serving, asks("torque", "pressure"), 2) == "valves"
    assert matched(serving, asks("torque"), 3) == "pumps"  # both fit: the first one listed
    held = {ledger.payer(bytes(32), request) for request in (1, 3)}
    assert (held, ledger.payer(bytes(32), 2)) == ({"a" * 32}, "b" * 32)
    with pytest.raises(PolicyRefusal, match=r"pumps: no column 'weight'.*valves: no column") as no:
        matched(serving, asks("weight"), 4)
    assert public_reason(no.value) is Reason.SCHEMA


def test_each_data_set_has_terms_of_its_own(folder: Path, ledger: Ledger) -> None:
    terms = 'disjoint = true\n[data.policy]\ncategories = ["machines"]'
    serving = own(folder, two(folder, common="min_samples = 20", first=terms), ledger)
    assert [one.policy.min_samples for one in serving.data] == [20, 20]
    assert matched(serving, asks("torque"), 1) == "valves"
    assert matched(serving, asks("torque", category="machines"), 2) == "pumps"
    with pytest.raises(PolicyRefusal, match="pumps: category") as no:
        matched(serving, asks("torque", "speed"), 3)
    assert public_reason(no.value) is Reason.CATEGORY


def test_a_used_up_budget_lets_the_next_data_set_serve(folder: Path, ledger: Ledger) -> None:
    common = "epsilon_lifetime = 3.0\nepsilon_per_requester = 20.0"
    serving = own(folder, two(folder, common=common, first="disjoint = true"), ledger)
    assert matched(serving, asks("torque"), 1) == "pumps"
    assert matched(serving, asks("torque"), 2) == "valves"
    assert matched(serving, asks("torque"), 2) == "valves"  # asked again: it stays with that one
    assert ledger.payer(bytes(32), 2) == "b" * 32
    with pytest.raises(BudgetExceeded) as no:
        matched(serving, asks("torque"), 3)
    assert public_reason(no.value) is Reason.BUDGET
    ledger.drop_hold(bytes(32), 1)
    assert matched(serving, asks("torque"), 3) == "pumps"


def test_two_data_sets_with_one_data_id_have_one_budget(folder: Path, ledger: Ledger) -> None:
    """The same persons under other columns: with an epsilon each, they would spend twice."""
    schema(folder / "valves.toml", "a", "pressure")
    common = "epsilon_lifetime = 3.0\nepsilon_per_requester = 20.0"
    serving = own(folder, two(folder, common=common), ledger)
    assert matched(serving, asks("torque", "speed"), 1) == "pumps"
    with pytest.raises(BudgetExceeded):
        matched(serving, asks("torque", "pressure"), 2)
    left = [ledger.standing(one.limit, one.records.schema.data_id).left for one in serving.data]
    assert left[0] == left[1] < 3


@pytest.mark.parametrize(
    ("units", "first", "accepted"),
    [
        (("record", "record"), "", False),
        (("record", "record"), "disjoint = true", True),
        (("person", "record"), "", False),
        (("person", "customer"), "", False),
        (("person", "person"), "", True),  # the ledger knows who is in both
    ],
)
def test_two_that_may_hold_the_same_persons_are_refused(
    folder: Path, units: tuple[str, str], first: str, accepted: bool
) -> None:
    schema(folder / "pumps.csv.schema.toml", "a", "speed", units[0])
    schema(folder / "valves.toml", "b", "pressure", units[1])
    policy = two(folder, first=first)
    if accepted:
        assert [one.name for one in listed(policy, None, None)] == ["pumps", "valves"]
        return
    with pytest.raises(SettingsError, match="two lifetime budgets"):
        listed(policy, None, None)


def test_one_file_never_has_two_budgets(folder: Path) -> None:
    """Whatever its owner says: by another name, by a link, by another schema."""
    (folder / "pumps.csv").write_text("torque,speed,label\n")
    (folder / "linked.csv").symlink_to(folder / "pumps.csv")
    (folder / "hard.csv").hardlink_to(folder / "pumps.csv")
    for other in ("pumps.csv", "./pumps.csv", "linked.csv", "hard.csv"):
        text = TWO.format(common="", first="disjoint = true", second="disjoint = true")
        with pytest.raises(SettingsError, match="the same file"):
            listed(policy_of(folder, text.replace("sub/valves.csv", other)), None, None)


def test_data_come_from_the_command_or_from_the_policy(folder: Path) -> None:
    policy = two(folder, first="disjoint = true")
    with pytest.raises(SettingsError, match="leave out --data"):
        listed(policy, folder / "pumps.csv", None)
    with pytest.raises(SettingsError, match="no data: give --data"):
        listed(Policy(), None, None)
    with pytest.raises(SettingsError, match="set schema_file"):
        listed(policy, None, folder / "valves.toml")
    (folder / "valves.toml").unlink()
    with pytest.raises(SettingsError, match=r"no schema .*valves.toml"):
        listed(policy, None, None)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("[data.policy]\ndelta = 1e-6", "delta holds for the whole daemon"),
        ("[data.policy]\nepsilon_liftime = 2.0", "data pumps: policy: epsilon_liftime"),
        ("[data.policy]\nepsilon_lifetime = -1", "data pumps: policy: epsilon_lifetime"),
        ("unit = 'person'", "data.0.unit"),
        ('[[data]]\nname = "pumps"\npath = "a.csv"', "two data sets have one name"),
        ('[[data]]\nname = "a/../b"\npath = "a.csv"', "data.1.name"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(folder: Path, first: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        two(folder, first=first)


def test_a_policy_that_is_read_again_changes_terms_and_no_data(
    folder: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    policy = two(folder, first="disjoint = true")
    data = own(folder, policy, ledger).data
    cheaper = two(folder, common="min_samples = 7", first="disjoint = true")
    after = served_on(cheaper, data, policy)
    assert after is not None
    assert [one.policy.min_samples for one in after] == [7, 7]
    assert [one.records for one in after] == [one.records for one in data]
    assert served_on(two(folder), data, policy) is None
    assert served_on(Policy(), data, policy) is None


def test_what_was_read_of_data_sets_that_are_gone_is_deleted(folder: Path, ledger: Ledger) -> None:
    filled(folder)
    data = own(folder, two(folder, first="disjoint = true"), ledger).data
    for one in data:
        one.records.load()
    assert all(one.records.last() is not None for one in data)
    data[0].records.keep_only_those_of([data[0].records])
    assert [one.records.last() is not None for one in data] == [True, False]
    assert len(list(snapshots_folder(folder, "0xa").glob("*.npz"))) == 1


def filled(folder: Path) -> None:
    for name, other in (("pumps.csv", "speed"), ("sub/valves.csv", "pressure")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"torque,{other},label\n{1 if other == 'speed' else 2},2,0\n")
        os.utime(path, (1, 1))


def test_records_of_one_data_set_are_never_taken_for_those_of_another(
    folder: Path, ledger: Ledger
) -> None:
    """A request for which the second one was read may be joined with the first one after all."""
    filled(folder)
    data = own(folder, two(folder, first="disjoint = true"), ledger).data
    pumps, valves = (one.records for one in data)
    spec = asks("torque")
    assert valves.dataset("d-1", spec).x.max() == 2
    assert pumps.dataset("d-1", spec).x.max() == 1
    valves.drop("d-1")
    (folder / "pumps.csv").unlink()
    assert pumps.dataset("d-1", spec).x.max() == 1
    pumps.keep_only("d", ["d-1"])
    assert len(list(snapshots_folder(folder, "0xa").glob("requests/*"))) == 1
    pumps.keep_only("d", [])
    assert not list(snapshots_folder(folder, "0xa").glob("requests/*"))


def test_a_running_request_keeps_its_records_when_the_policy_begins_to_list_them(
    folder: Path, ledger: Ledger
) -> None:
    filled(folder)
    spec, alone = asks("torque"), Policy()
    [single] = listed(alone, folder / "pumps.csv", None)
    before = own_data(single, folder, "0xa").records.dataset("d-1", spec)
    written = (folder / "pumps.csv").read_text()
    (folder / "pumps.csv").write_text(written.replace("\n1,", "\n5,"))
    os.utime(folder / "pumps.csv", (2, 2))
    pumps = own(folder, two(folder, first="disjoint = true"), ledger).data[0].records
    assert (pumps.dataset("d-1", spec).x == before.x).all()
    later = pumps.dataset("d-2", spec)
    assert later.x.max() == 5
    again = own_data(single, folder, "0xa").records  # and when it lists them no more
    assert (again.dataset("d-2", spec).x == later.x).all()


def test_the_budgets_of_two_data_sets_are_shown_apart(folder: Path, ledger: Ledger) -> None:
    serving = own(folder, two(folder, first="disjoint = true"), ledger)
    matched(serving, asks("torque", "speed"))
    limit = PrivacyLimit(8.0, 1e-5)
    assert ledger.standing(limit, "a" * 32).left < ledger.standing(limit, "b" * 32).left
    assert DataSchema.read(folder / "valves.toml").data_id == "b" * 32
