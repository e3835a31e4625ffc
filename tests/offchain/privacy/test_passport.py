"""Passports merged into ledgers: whatever the order of exports, imports and charges, nothing that
was spent is lost; along one line of machines nothing is counted twice."""

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.errors import LedgerError
from fedpact.privacy import passport
from fedpact.privacy.ledger import foreign_submissions
from fedpact.privacy.ledger.check import verify
from fedpact.privacy.ledger.foreign_submissions import Price
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.lifetime_budget import Spend
from fedpact.privacy.releases import GaussianRelease
from fedpact.types.cid import Cid
from tests.offchain.privacy.test_ledger import (
    AMPLE,
    DELTA,
    EVENT,
    KEY,
    epsilon_of,
    payers,
    records,
    release_id,
)

SAMPLED = GaussianRelease(3.0, 0.1, 5)
MACHINES = 3
UNITS = 4


def make(ledger: Ledger, request: int, *units: int, event: GaussianRelease = EVENT) -> None:
    ledger.begin(release_id(request), records(*units), event, payers(AMPLE))
    ledger.keep(release_id(request), b"model %d" % request, at=1)
    ledger.publishing(release_id(request))


def carried(ledger: Ledger) -> passport.Body:
    """The passport as written to a file."""
    body = json.loads(json.dumps(passport.body_of(ledger)))
    passport.check(body)
    return body


def test_a_fresh_machine_knows_all_that_was_spent(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a", KEY) as old, Ledger(tmp_path / "b", KEY) as new:
        make(old, 1, 1, 2)
        make(old, 2, 1, event=SAMPLED)
        old.hold(release_id(3).deployment, 3, EVENT, payers(AMPLE))
        old.begin(release_id(4), records(1, 3), EVENT, payers(AMPLE))
        old.keep(release_id(4), b"never published", at=1)
        body = carried(old)
        assert passport.merge(new, body) == passport.Merged(3, 3)
        assert passport.merge(new, body) == passport.Merged(0, 0)
        for unit in range(5):
            one = records(unit)
            assert new.spent(DELTA, one) == old.spent(DELTA, one)
        assert new.holds() == old.holds()
        # The release under way is drawn again here, under the same charge.
        assert new.begin(release_id(4), records(1, 3), EVENT, payers(AMPLE)) == set(records(1, 3))
        assert new.keep(release_id(4), b"drawn here", at=1) == b"drawn here"
        with pytest.raises(LedgerError, match="must not be drawn again"):
            new.keep(release_id(1), b"a second draw", at=1)
        new.end(release_id(4).deployment, 4)  # the other machine may have published
        assert new.spent(DELTA, records(1)) == old.spent(DELTA, records(1))
        verify(new)


def test_machines_that_take_turns_count_each_release_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a", KEY) as a, Ledger(tmp_path / "b", KEY) as b:
        for turn, (mine, theirs) in enumerate([(a, b), (b, a)] * 2):
            make(mine, turn, 1)
            passport.merge(theirs, carried(mine))
            assert theirs.spent(DELTA).epsilon == pytest.approx(epsilon_of(turn + 1))


def test_machines_that_forked_count_what_both_released(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a", KEY) as a, Ledger(tmp_path / "b", KEY) as b:
        make(a, 1, 1)
        passport.merge(b, carried(a))
        make(a, 2, 1)
        make(b, 3, 1)
        passport.merge(b, carried(a))
        assert b.spent(DELTA).epsilon == pytest.approx(epsilon_of(3))


def test_what_was_charged_from_the_chain_is_not_counted_again(tmp_path: Path) -> None:
    """An older ledger was brought up to date from the chain; then the passport was found."""
    with Ledger(tmp_path / "a", KEY) as a, Ledger(tmp_path / "b", KEY) as b:
        make(a, 1, 1)
        passport.merge(b, carried(a))
        make(a, 2, 1)
        foreign_submissions.note(b, [(release_id(2), Cid.of(b"model 2").digest)])
        foreign_submissions.charge(b, release_id(2), Price(EVENT, EVENT, "0xA"), ["a"], records(1))
        assert b.spent(DELTA).epsilon == pytest.approx(epsilon_of(2))
        passport.merge(b, carried(a))
        assert b.spent(DELTA).epsilon == pytest.approx(epsilon_of(2))


def test_what_was_not_charged_yet_is_charged_on_the_new_machine(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a", KEY) as a, Ledger(tmp_path / "b", KEY) as b:
        foreign_submissions.note(a, [(release_id(2), b"d" * 32)])
        passport.merge(b, carried(a))
        assert [one for one, _ in foreign_submissions.unpriced(b)] == [release_id(2)]


@pytest.mark.parametrize("where", ["journal", "head", "orders"])
def test_a_body_that_was_changed_is_refused(tmp_path: Path, where: str) -> None:
    with Ledger(tmp_path / "a", KEY) as a:
        make(a, 1, 1)
        body = copy.deepcopy(carried(a))
    if where == "journal":
        body["journal"][0]["units"] = 0
    elif where == "head":
        del body["journal"][-1]
    else:
        body["orders"][0] = 1.5
    with pytest.raises(LedgerError, match="passport: "):
        passport.check(body)


class Machine:
    """A ledger, and the charges whose cost it must know."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path, KEY)
        self.known: dict[int, tuple[frozenset[int], GaussianRelease]] = {}


def require_nothing_lost(machine: Machine) -> None:
    for unit in range(UNITS):
        made = [event for members, event in machine.known.values() if unit in members]
        spending = machine.ledger.spending
        with machine.ledger.file.transaction() as db:
            spending.ask(db, [spending.keyed(records(unit)[0])])
            [kept] = spending.of_units(db, asked=True) or [Spend.nothing()]
        least = sum((Spend.of(event) for event in made), start=Spend.nothing())
        assert kept.steps >= least.steps
        assert kept.precision >= least.precision * (1 - 1e-9)
        assert (kept.sampled >= least.sampled * (1 - 1e-9)).all()


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("charge"),
            st.integers(0, MACHINES - 1),
            st.frozensets(st.integers(0, UNITS - 1), min_size=1),
            st.sampled_from([EVENT, SAMPLED]),
        ),
        st.tuples(st.just("export"), st.integers(0, MACHINES - 1)),
        st.tuples(st.just("import"), st.integers(0, MACHINES - 1), st.integers(0, 9)),
    ),
    max_size=12,
)


@given(steps)
@settings(max_examples=15, deadline=None)
def test_no_order_of_exports_imports_and_charges_loses_anything(
    history: list[tuple[object, ...]],
) -> None:
    with TemporaryDirectory() as folder:
        machines = [Machine(Path(folder) / str(number)) for number in range(MACHINES)]
        files: list[tuple[passport.Body, dict[int, tuple[frozenset[int], GaussianRelease]]]] = []
        for number, (kind, at, *rest) in enumerate(history):
            machine = machines[int(str(at))]
            if kind == "charge":
                members, event = rest
                make(machine.ledger, number, *members, event=event)  # type: ignore[misc,arg-type]
                machine.known[number] = (members, event)  # type: ignore[assignment]
            elif kind == "export":
                files.append((carried(machine.ledger), dict(machine.known)))
            elif files:
                body, known = files[int(str(rest[0])) % len(files)]
                passport.merge(machine.ledger, body)
                machine.known |= known
                before = machine.ledger.spent(DELTA)
                passport.merge(machine.ledger, body)
                assert machine.ledger.spent(DELTA) == before
        for one in machines:
            require_nothing_lost(one)
        for one in machines:
            verify(one.ledger)
            one.ledger.close()
