"""The privacy ledger: what it charges, to whom, and what it refuses."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.errors import BudgetExceeded, LedgerError, PrivacyError
from fedpact.privacy.accounting import ORDERS, calibrate, cost, rdp, rdp_cost
from fedpact.privacy.ledger.check import reconcile, verify
from fedpact.privacy.ledger.ledger import Ledger, Payers
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit, Spend
from fedpact.privacy.releases import GaussianRelease, Schedule
from fedpact.types.cid import Cid

KEY = bytes(range(32))
DEPLOYMENT = sha256(b"deployment").digest()
DELTA = 1e-5
EVENT = GaussianRelease(5.0, 1.0, 2)


def records(*numbers: int) -> tuple[bytes, ...]:
    return tuple(sha256(str(number).encode()).digest() for number in numbers)


def release_id(request: int, round_: int = 1) -> ReleaseId:
    return ReleaseId(DEPLOYMENT, request, round_)


def payers(
    limit: PrivacyLimit, dataset: str = "a", requester: str = "0xA", per: PrivacyLimit | None = None
) -> Payers:
    return Payers(dataset, requester, limit, per or limit)


VECTORS = Path(__file__).parents[2] / "vectors"
AMPLE = PrivacyLimit(8.0, DELTA)


def epsilon_of(times: int, event: GaussianRelease = EVENT) -> float:
    return cost(event.times(times), DELTA).epsilon if times else 0.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "privacy.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path, KEY) as opened:
        yield opened


def test_a_release_is_charged_once_and_always_gives_the_same_bytes(
    ledger: Ledger, path: Path
) -> None:
    first = ledger.release(release_id(1), records(1, 2), EVENT, b"noised")
    again = ledger.release(release_id(1), records(1, 2, 3), EVENT, b"drawn anew")
    assert first == again == ledger.stored(release_id(1)) == b"noised"
    with Ledger(path, KEY) as reopened:
        assert reopened.stored(release_id(1)) == b"noised"
        assert reopened.spent(DELTA).epsilon == pytest.approx(epsilon_of(1))


def test_a_release_that_was_made_is_not_drawn_again(ledger: Ledger) -> None:
    ledger.release(release_id(1), records(1), EVENT, lambda: b"first")

    def draw() -> bytes:
        raise AssertionError("a second draw")

    assert ledger.release(release_id(1), records(1), EVENT, draw) == b"first"


def test_a_draw_that_fails_costs_nothing(ledger: Ledger) -> None:
    def draw() -> bytes:
        raise MemoryError

    with pytest.raises(MemoryError):
        ledger.release(release_id(1), records(1), EVENT, draw)
    assert ledger.spent(DELTA).epsilon == 0
    assert ledger.stored(release_id(1)) is None


def test_releases_are_distinguished_by_deployment_request_and_round(ledger: Ledger) -> None:
    other = ReleaseId(sha256(b"a new local chain").digest(), 1, 1)
    for number, each in enumerate([release_id(1), release_id(1, 2), release_id(2), other]):
        assert ledger.release(each, records(1), EVENT, b"%d" % number) == b"%d" % number
    assert ledger.spent(DELTA).epsilon == pytest.approx(epsilon_of(4))


def test_without_privacy_bytes_are_kept_and_nothing_is_charged(ledger: Ledger) -> None:
    ledger.release(release_id(1), records(1), None, b"plain")
    assert ledger.stored(release_id(1)) == b"plain"
    assert ledger.spent(DELTA, records(1)).epsilon == 0
    assert ledger.entries()[0].event is None


@pytest.mark.parametrize(
    "later",
    [
        records(1, 2, 3, 4),  # appended to
        records(2, 3),  # one dropped
        records(3, 2, 1),  # reordered
        records(3),  # split off
        records(2, 2, 2),  # repeated
        records(9, 8, 1),  # mostly new
    ],
)
def test_a_unit_carries_what_it_has_spent_into_any_data_set_and_nobody_elses(
    ledger: Ledger, later: tuple[bytes, ...]
) -> None:
    ledger.release(release_id(1), records(1, 2, 3), EVENT, b"one")
    assert ledger.spent(DELTA, later).epsilon == pytest.approx(epsilon_of(1))
    ledger.release(release_id(2), later, EVENT, b"two")
    for number in range(1, 10):
        times = (number in (1, 2, 3)) + (records(number)[0] in later)
        assert ledger.spent(DELTA, records(number)).epsilon == pytest.approx(epsilon_of(times))


def test_unused_records_keep_their_budget(ledger: Ledger) -> None:
    ledger.release(release_id(1), records(1, 2, 3), EVENT, b"one")
    ledger.release(release_id(2), records(1), EVENT, b"two")
    assert ledger.spent(DELTA, records(2, 3)).epsilon == pytest.approx(epsilon_of(1))
    assert ledger.spent(DELTA, records(7)).epsilon == 0


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 7), min_size=1), st.sampled_from([2.0, 5.0, 9.0])),
        max_size=8,
    )
)
@settings(max_examples=15)
def test_every_record_is_charged_what_it_took_part_in_and_no_more(
    history: list[tuple[set[int], float]],
) -> None:
    with TemporaryDirectory() as folder, Ledger(Path(folder) / "l.sqlite", KEY) as ledger:
        truth = {number: Spend.nothing() for number in range(8)}
        for request, (members, multiplier) in enumerate(history):
            event = GaussianRelease(multiplier, 1.0, 1)
            units = records(*members)
            ledger.release(release_id(request), units, event, b"x")
            for number in members:
                truth[number] = truth[number] + Spend.of(event)
        for number, spend in truth.items():
            known = ledger.spent(DELTA, records(number)).epsilon
            assert known == pytest.approx(spend.cost(DELTA).epsilon)


def test_a_release_beyond_the_limit_is_refused_before_the_draw(ledger: Ledger) -> None:
    limit = PrivacyLimit(epsilon_of(2) * 1.05, DELTA)
    for request in (1, 2):
        ledger.release(release_id(request), records(1), EVENT, b"x", limit)

    def draw() -> bytes:
        raise AssertionError("drawn over the limit")

    for payload in (draw, b"already drawn"):
        with pytest.raises(BudgetExceeded, match="of the records' epsilon"):
            ledger.release(release_id(3), records(1, 2), EVENT, payload, limit)
    assert ledger.spent(DELTA).epsilon == pytest.approx(epsilon_of(2))
    # What was released may be fetched again all the same.
    assert ledger.release(release_id(2), records(1), EVENT, draw, limit) == b"x"


# ---------------------------------------------------------------------- requests


def test_a_release_is_charged_before_it_is_made(ledger: Ledger, path: Path) -> None:
    who = payers(AMPLE)
    assert ledger.begin(release_id(1), records(1, 2), EVENT, who) == set(records(1, 2))
    assert ledger.stored(release_id(1)) is None
    with Ledger(path, KEY) as after_a_crash:
        assert after_a_crash.spent(DELTA).epsilon == pytest.approx(epsilon_of(1))
        # Begun again it costs nothing more, and may be trained again: nothing was published.
        assert after_a_crash.begin(release_id(1), records(1, 2), EVENT, who) == set(records(1, 2))
        assert after_a_crash.keep(release_id(1), b"x", at=7) == b"x"
    assert ledger.keep(release_id(1), b"another draw", at=9) == b"x"
    assert (ledger.stored(release_id(1)), ledger.kept_at(release_id(1))) == (b"x", 7)
    assert ledger.spent(DELTA).epsilon == pytest.approx(epsilon_of(1))


def test_bytes_that_nothing_was_charged_for_are_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="nothing was charged"):
        ledger.keep(release_id(1), b"x", at=0)


def test_an_exhausted_unit_is_left_out_and_nobody_is_refused(ledger: Ledger) -> None:
    limit = PrivacyLimit(epsilon_of(1) * 1.05, DELTA)
    ledger.begin(release_id(1), records(1), EVENT, payers(limit, "old"))
    for dataset, units, left in (
        ("new", records(1, 2, 3), records(2, 3)),
        ("newer", records(1), ()),
        ("newest", records(4, 5), records(4, 5)),
    ):
        who = payers(limit, dataset, dataset)
        request = len(ledger.entries()) + 1
        ledger.hold(DEPLOYMENT, request, EVENT, who)
        assert ledger.begin(release_id(request), units, EVENT, who) == set(left)
    assert ledger.spent(DELTA).epsilon == pytest.approx(epsilon_of(1))
    verify(ledger)


def test_a_unit_with_another_past_changes_nothing_for_the_others(ledger: Ledger) -> None:
    ledger.begin(release_id(1), records(1), EVENT, payers(AMPLE, "old"))
    ledger.begin(release_id(2), records(1, 2, 3), EVENT, payers(AMPLE, "new"))
    assert ledger.spent(DELTA, records(2, 3)).epsilon == pytest.approx(epsilon_of(1))


def test_a_data_set_that_is_used_up_refuses_requests_whatever_is_in_it(ledger: Ledger) -> None:
    limit = PrivacyLimit(epsilon_of(2) * 1.05, DELTA)
    for request in (1, 2):
        ledger.hold(DEPLOYMENT, request, EVENT, payers(limit, per=AMPLE))
        ledger.begin(release_id(request), records(request), EVENT, payers(limit, per=AMPLE))
    with pytest.raises(BudgetExceeded, match="of the data set's epsilon"):
        ledger.hold(DEPLOYMENT, 3, EVENT, payers(limit, per=AMPLE))
    ledger.hold(DEPLOYMENT, 3, EVENT, payers(limit, "another", per=AMPLE))


def test_one_requester_cannot_use_up_a_data_set(ledger: Ledger) -> None:
    per = PrivacyLimit(epsilon_of(1) * 1.05, DELTA)
    ledger.hold(DEPLOYMENT, 1, EVENT, payers(AMPLE, requester="0xA", per=per))
    with pytest.raises(BudgetExceeded, match="of the requester's epsilon"):
        ledger.hold(DEPLOYMENT, 2, EVENT, payers(AMPLE, requester="0xA", per=per))
    ledger.hold(DEPLOYMENT, 2, EVENT, payers(AMPLE, requester="0xB", per=per))


def test_a_hold_keeps_the_budget_of_a_request_from_the_others(ledger: Ledger) -> None:
    limit = PrivacyLimit(epsilon_of(3) * 1.02, DELTA)
    for _ in range(2):
        ledger.hold(DEPLOYMENT, 1, EVENT.times(3), payers(limit))
    assert ledger.holds() == [(DEPLOYMENT, 1)]
    with pytest.raises(BudgetExceeded):
        ledger.hold(DEPLOYMENT, 2, EVENT, payers(limit))
    for round_ in (1, 2):
        ledger.begin(release_id(1, round_), records(1, 2), EVENT, payers(limit))
        ledger.keep(release_id(1, round_), b"x", at=0)
        ledger.publishing(release_id(1, round_))
    with pytest.raises(BudgetExceeded):
        ledger.hold(DEPLOYMENT, 2, EVENT, payers(limit))
    ledger.end(DEPLOYMENT, 1)  # it ended a round early: the third is free again
    assert ledger.holds() == []
    ledger.hold(DEPLOYMENT, 2, EVENT, payers(limit))


def test_a_hold_that_is_there_is_not_written_again(ledger: Ledger) -> None:
    """A daemon that waits to join asks for it in every cycle."""
    limit = PrivacyLimit(epsilon_of(3) * 1.02, DELTA)

    def changes() -> int:
        with ledger.file.reading() as db:
            return db.total_changes

    ledger.hold(DEPLOYMENT, 1, EVENT.times(3), payers(limit, per=AMPLE))
    before = changes()
    ledger.hold(DEPLOYMENT, 1, EVENT.times(3), payers(limit, per=AMPLE))
    assert changes() == before
    with pytest.raises(BudgetExceeded):  # the limit is another by now
        ledger.hold(
            DEPLOYMENT, 1, EVENT.times(3), payers(PrivacyLimit(epsilon_of(2), DELTA), per=AMPLE)
        )
    ledger.hold(DEPLOYMENT, 1, EVENT.times(3), payers(limit, "another", per=AMPLE))
    assert changes() > before
    ledger.hold(
        DEPLOYMENT, 2, EVENT.times(3), payers(limit, per=AMPLE)
    )  # the first one's data set is free
    assert ledger.holds() == [(DEPLOYMENT, 1), (DEPLOYMENT, 2)]


def test_a_hold_of_a_mixed_schedule_lets_all_its_releases_pass(ledger: Ledger) -> None:
    centring = GaussianRelease(20.0, 1.0, 1)
    schedule = Schedule((centring, EVENT.times(2)))
    limit = PrivacyLimit(cost(schedule, DELTA).epsilon * 1.1, DELTA)
    ledger.hold(DEPLOYMENT, 1, schedule, payers(limit))
    for round_, event in enumerate((centring, EVENT, EVENT)):
        begun = ledger.begin(release_id(1, round_), records(1), event, payers(limit))
        assert begun == set(records(1))
    assert ledger.spent(DELTA).epsilon == pytest.approx(cost(schedule, DELTA).epsilon)


def test_discarded_bytes_are_never_drawn_again(ledger: Ledger) -> None:
    ledger.begin(release_id(1), records(1), EVENT, payers(AMPLE))
    ledger.keep(release_id(1), b"x", at=0)
    ledger.publishing(release_id(1))
    ledger.end(DEPLOYMENT, 1)
    assert ledger.spent(DELTA).epsilon == pytest.approx(epsilon_of(1))
    assert not ledger.entries()[0].kept
    with pytest.raises(LedgerError, match="must not be drawn again"):
        ledger.keep(release_id(1), b"anew", at=0)


def test_what_never_left_this_machine_is_refunded_when_its_request_ends(ledger: Ledger) -> None:
    limit = PrivacyLimit(epsilon_of(1) * 1.05, DELTA)
    for request in range(1, 6):  # cancelled one after the other
        ledger.hold(DEPLOYMENT, request, EVENT, payers(limit))
        ledger.begin(release_id(request), records(1, 2), EVENT, payers(limit))
        ledger.keep(release_id(request), b"x", at=0)
        ledger.end(DEPLOYMENT, request)
    assert ledger.spent(DELTA).epsilon == 0
    assert ledger.standing(limit).spent.epsilon == 0
    with pytest.raises(LedgerError, match="must not be drawn again"):
        ledger.stored(release_id(1))
    verify(ledger)


def test_a_refund_is_for_those_who_were_charged(ledger: Ledger) -> None:
    ledger.begin(release_id(1), records(1, 2), EVENT, payers(AMPLE))
    ledger.keep(release_id(1), b"x", at=0)
    ledger.publishing(release_id(1))
    ledger.begin(release_id(2), records(2, 3), EVENT, payers(AMPLE))
    ledger.end(DEPLOYMENT, 2)
    spent = [ledger.spent(DELTA, records(number)).epsilon for number in (1, 2, 3)]
    assert spent == pytest.approx([epsilon_of(1), epsilon_of(1), 0.0])


def test_a_ledger_of_version_2_is_read_on_and_nothing_it_had_spent_becomes_less(
    tmp_path: Path,
) -> None:
    """`ledger-v2.sqlite` was written by the code before: people 0 to 39 took part in two full-batch
    releases, 20 to 59 in one sampled, all in one that was not published."""
    path = tmp_path / "old.sqlite"
    path.write_bytes((VECTORS / "ledger-v2.sqlite").read_bytes())
    full, sampled = GaussianRelease(5.0, 1.0, 2), GaussianRelease(2.0, 0.1, 10)
    with Ledger(path, KEY) as ledger:
        verify(ledger)
        assert ledger.spent(DELTA).epsilon >= 2.287292559  # what the code before printed
        assert ledger.holds() == [(b"\x07" * 32, 2), (b"\x07" * 32, 3)]
        for request in (2, 3):
            ledger.end(b"\x07" * 32, request)
        released = rdp(full.times(2)) + rdp(sampled)
        assert ledger.spent(DELTA).epsilon >= rdp_cost(released, DELTA, 1).epsilon
        # It goes on under the filter that accounted for it so far.
        before = rdp_cost(released, DELTA).epsilon
        limit = PrivacyLimit(before * 1.3, DELTA)
        with pytest.raises(BudgetExceeded):
            ledger.hold(DEPLOYMENT, 9, full.times(4), payers(limit, "d" * 32, per=AMPLE))


def test_a_release_of_no_records_is_refused(ledger: Ledger) -> None:
    with pytest.raises(PrivacyError, match="no records"):
        ledger.release(release_id(1), (), EVENT, b"x")


def test_a_restored_older_copy_is_refused(path: Path) -> None:
    submissions = []
    older = b""
    for round_ in (1, 2):
        if round_ == 2:
            older = path.read_bytes()
        payload = os.urandom(300_000)  # more than one IPFS block
        with Ledger(path, KEY) as ledger:
            ledger.release(release_id(1, round_), records(1), EVENT, payload)
            submissions.append((release_id(1, round_), Cid.of(payload).digest))
            reconcile(ledger, submissions)
    path.write_bytes(older)
    with Ledger(path, KEY) as ledger:
        reconcile(ledger, submissions[:1])
        with pytest.raises(LedgerError, match=r"older copy.*request 1, round 2, is not in it"):
            reconcile(ledger, submissions)


def test_a_submission_of_other_bytes_is_refused(ledger: Ledger) -> None:
    ledger.release(release_id(1), records(1), EVENT, b"x")
    with pytest.raises(LedgerError, match="differs from what it holds"):
        reconcile(ledger, [(release_id(1), Cid.of(b"y").digest)])


def test_a_lost_ledger_is_refused_once_something_was_submitted(ledger: Ledger) -> None:
    reconcile(ledger, [])
    with pytest.raises(LedgerError, match="older copy"):
        reconcile(ledger, [(release_id(1), Cid.of(b"x").digest)])


@pytest.mark.parametrize(
    "garbage", [b"no database at all" * 100, b"SQLite format 3\0" + b"\0" * 99]
)
def test_a_file_that_is_not_a_database_is_refused(path: Path, garbage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(garbage)
    with pytest.raises(LedgerError, match="is corrupt"):
        Ledger(path, KEY)
    assert path.read_bytes() == garbage


def test_a_damaged_file_is_refused(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        for request in range(40):
            ledger.release(release_id(request), records(*range(request, 60)), EVENT, b"x" * 5000)
    whole = bytearray(path.read_bytes())
    for index in range(4096 + 8, len(whole), 4096):
        whole[index : index + 32] = os.urandom(32)
    path.write_bytes(whole)
    with pytest.raises(LedgerError, match="is corrupt"):
        Ledger(path, KEY)


def test_a_changed_payload_or_spend_is_refused(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        ledger.release(release_id(1), records(1), EVENT, b"x")
    _execute(path, "UPDATE releases SET payload = x'00'", "UPDATE accounts SET spend = x'0000'")
    with Ledger(path, KEY) as ledger:
        with pytest.raises(LedgerError, match="differs from its digest"):
            ledger.stored(release_id(1))
        with pytest.raises(LedgerError, match="wrong length"):
            ledger.spent(DELTA)


def test_a_newer_schema_is_refused(path: Path) -> None:
    Ledger(path, KEY).close()
    _execute(path, "PRAGMA user_version = 6")
    with pytest.raises(LedgerError, match="schema version 6, this fedpact reads 5"):
        Ledger(path, KEY)


def test_a_foreign_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    _execute(path, "CREATE TABLE other (x)")
    with pytest.raises(LedgerError, match="not a fedpact ledger"):
        Ledger(path, KEY)


def test_another_accounts_ledger_is_refused(path: Path) -> None:
    Ledger(path, KEY).close()
    with pytest.raises(LedgerError, match="belongs to another owner"):
        Ledger(path, bytes(32))


def test_a_ledger_that_another_process_locks_is_refused(path: Path) -> None:
    Ledger(path, KEY).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(LedgerError, match="locked by another process"):
            Ledger(path, KEY, lock_timeout=0.1)
    finally:
        holder.close()


def test_another_accounts_ledger_knows_nothing_of_the_same_records(tmp_path: Path) -> None:
    """The limit that docs/privacy.md states: costs add up in one ledger for each provider only."""
    with Ledger(tmp_path / "ours", KEY) as ours, Ledger(tmp_path / "theirs", bytes(32)) as theirs:
        ours.release(release_id(1), records(1), EVENT, b"x")
        assert theirs.spent(DELTA, records(1)).epsilon == 0


def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path, KEY)
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "file" / "privacy.sqlite", KEY)


def test_the_file_is_for_its_owner_alone_and_names_no_record(ledger: Ledger, path: Path) -> None:
    ledger.release(release_id(1), records(1, 2), EVENT, b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()
    assert not any(unit in written for unit in records(1, 2))


def test_a_limit_leaves_what_is_neither_spent_nor_held(ledger: Ledger) -> None:
    limit = PrivacyLimit(8.0, DELTA)
    before = ledger.standing(limit)
    ledger.release(release_id(1), records(1, 2), EVENT, b"x", limit)
    ledger.hold(DEPLOYMENT, 2, EVENT, payers(limit))
    after = ledger.standing(limit)
    assert (before.spent.epsilon, before.promised.epsilon) == (0.0, 0.0)
    assert after.spent.epsilon == pytest.approx(epsilon_of(1))
    assert after.promised.epsilon == pytest.approx(epsilon_of(2))
    assert 0 < after.left < before.left < 8.0


@given(st.floats(1.0, 12.0), st.integers(0, 60))
def test_the_rest_just_passes_the_limit(epsilon: float, times: int) -> None:
    limit = PrivacyLimit(epsilon, DELTA)
    spend = Spend.of(EVENT.times(times)) if times else Spend.nothing()
    left = limit.left(spend)
    if not limit.allows(spend):
        assert left == 0.0
    elif left > 0.05:  # below, the limit's room for rounding is as large
        fits, too_much = (
            Spend.of(GaussianRelease(calibrate(left, DELTA, 1, 1.0) * factor, 1.0, 1))
            for factor in (1 + 1e-6, 1 - 1e-4)
        )
        assert limit.allows(spend + fits)
        assert not limit.allows(spend + too_much)


def test_a_whole_ledger_passes_verification(ledger: Ledger) -> None:
    ledger.release(release_id(1), records(1, 2), EVENT, b"x")
    ledger.release(release_id(2), records(3), None, b"y")
    ledger.hold(DEPLOYMENT, 3, EVENT, payers(AMPLE))
    assert [entry.id.request for entry in verify(ledger)] == [1, 2]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE releases SET payload = x'00'", "differs from its digest"),
        ("UPDATE accounts SET spend = x'0000'", "wrong length"),
        (f"UPDATE accounts SET spend = zeroblob({17 + 8 * len(ORDERS)})", "is not charged"),
        ("UPDATE units SET account = 77", "without an account"),
        ("DELETE FROM units", "is not charged"),
    ],
)
def test_verification_finds_every_change(path: Path, statement: str, said: str) -> None:
    with Ledger(path, KEY) as ledger:
        ledger.release(release_id(1), records(1), EVENT, b"x")
    _execute(path, statement)
    with Ledger(path, KEY) as ledger, pytest.raises(LedgerError, match=said):
        verify(ledger)


def _execute(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()
