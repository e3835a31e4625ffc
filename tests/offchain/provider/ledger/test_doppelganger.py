"""The doppelganger check: how long a daemon is silent, and what a release without a specification
is charged."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.errors import ContentMissing, DataError
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger import foreign_submissions
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.data_sets import OwnData
from fedpact.provider.ledger import doppelganger
from fedpact.provider.ledger.doppelganger import PRICING_SECONDS, QUIET_SECONDS, Guard
from fedpact.provider.policy import Policy
from fedpact.types.specification import Specification
from tests.offchain.privacy.test_ledger import DELTA, KEY, records, release_id
from tests.support.specifications import SOUND, specification

SPEC = specification(privacy={**SOUND, "noise_multiplier": 6.0}, rounds=2)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(doppelganger, "time", fake)
    monkeypatch.setattr(foreign_submissions, "time", fake)
    return fake


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "privacy.sqlite", KEY) as opened:
        yield opened


def own(units: tuple[bytes, ...] = records(1, 2)) -> Any:
    policy = Policy(epsilon_per_request=3.0, delta=DELTA)
    kept: Any = SimpleNamespace(
        load=lambda: SimpleNamespace(units=units), schema=SimpleNamespace(data_id="d")
    )
    return SimpleNamespace(policy=policy, data=(OwnData("", kept, policy),))


def asking(_: ReleaseId) -> tuple[Specification, str]:
    return SPEC, "0xR"


def unavailable(_: ReleaseId) -> tuple[Specification, str]:
    raise ContentMissing("its specification is not in the store")


def test_a_daemon_is_silent_until_the_other_one_has_been_for_a_quarter_of_an_hour(
    ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    guard = Guard(ledger)
    assert guard.held() is None
    guard.compare([(release_id(1), b"d" * 32)])
    assert "not charged yet" in str(guard.held())
    guard.settle(own(), asking)
    for _ in range(3):
        assert "another daemon of this account may be running" in str(guard.held())
    clock.now += QUIET_SECONDS - 1
    guard.compare([(release_id(1), b"d" * 32)])  # known by now
    assert Guard(ledger).held()  # a restart does not shorten it
    guard.compare([(release_id(2), b"e" * 32)])
    guard.settle(own(), asking)
    clock.now += QUIET_SECONDS - 1
    assert guard.held()
    clock.now += 1
    assert guard.held() is None
    assert caplog.text.count("until it has been silent for 15 minutes") == 2
    assert "submitting again" in caplog.text


def test_a_clock_that_was_set_back_holds_nothing_up_for_ever(ledger: Ledger, clock: Clock) -> None:
    guard = Guard(ledger)
    guard.compare([(release_id(1), b"d" * 32)])
    guard.settle(own(), asking)
    clock.now -= 10**6
    assert guard.held()
    clock.now += QUIET_SECONDS + 1
    assert guard.held() is None


def test_the_operator_may_say_that_there_is_no_other_daemon(ledger: Ledger, clock: Clock) -> None:
    guard = Guard(ledger, alone=True)
    guard.compare([(release_id(1), b"d" * 32)])
    assert "not charged yet" in str(guard.held())  # charging comes first all the same
    guard.settle(own(), asking)
    assert guard.held() is None
    guard.compare([(release_id(2), b"e" * 32)])  # there is one after all
    guard.settle(own(), asking)
    assert guard.held()


def test_what_was_released_is_charged_by_its_specification(ledger: Ledger, clock: Clock) -> None:
    guard = Guard(ledger)
    guard.compare([(release_id(1, 1), b"d" * 32), (release_id(1, 2), b"e" * 32)])
    guard.settle(own(), asking)
    for entry in ledger.entries():
        assert entry.event is not None
        assert entry.event.noise_multiplier == 6.0
    spent = ledger.spent(DELTA).epsilon
    assert spent == pytest.approx(cost(ledger.entries()[0].event.times(2), DELTA).epsilon)


def test_without_a_specification_the_policys_most_is_charged_once_a_request(
    ledger: Ledger, clock: Clock
) -> None:
    guard = Guard(ledger)
    guard.compare([(release_id(1, 1), b"d" * 32), (release_id(1, 2), b"e" * 32)])
    guard.settle(own(), unavailable)
    assert ledger.spent(DELTA).epsilon == 0
    assert guard.held()
    clock.now += PRICING_SECONDS
    guard.settle(own(), unavailable)
    assert 2.9 < ledger.spent(DELTA).epsilon < 3.1
    assert foreign_submissions.unpriced(ledger) == []


def test_records_that_cannot_be_read_hold_everything_up(ledger: Ledger, clock: Clock) -> None:
    def load() -> None:
        raise DataError("the file is gone")

    broken = own()
    broken.data[0].records.load = load
    guard = Guard(ledger)
    guard.compare([(release_id(1), b"d" * 32)])
    guard.settle(broken, asking)
    assert "not charged yet" in str(guard.held())
