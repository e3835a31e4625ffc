"""One test for each leaf of reputation.tree."""

import pytest

from fedpact.consensus import reputation as mirror
from tests.contracts.unit.registry.registry_values import UNIT
from tests.support.chainkit import events

MONTH = 30 * 24 * 3600


@pytest.fixture
def record(chain, registry, market, admitted):
    """Records an outcome for Alice; the market is the default sender."""

    def record(weight, quality, losses=0, ended_at=None, sender=market):
        ended_at = chain.now if ended_at is None else ended_at
        # Of three seats the last is hers.
        accounts = [registry.address, market.address, admitted.address]
        lanes = (0b100, quality << 32, losses << 32)
        call = registry.functions.recordOutcomes(accounts, *lanes, weight, ended_at)
        return chain.send(sender, call)

    return record


@pytest.fixture
def reputation(registry, alice):
    return lambda: registry.functions.reputation(alice.address).call()


def test_record_reverts_for_any_other_caller(record, registrar, expect_revert):
    with expect_revert("ParticipantRegistry_NotContracts", registrar):
        record(10, 10_000, sender=registrar)


def test_record_of_weight_zero_changes_nothing(record, reputation):
    receipt = record(0, 10_000, 10_000)

    assert reputation() == 4000
    assert receipt["logs"] == []


def test_record_raises_for_quality(record, reputation):
    record(10, 6000)

    assert reputation() == 5000


def test_record_lowers_for_losses(record, reputation):
    record(10, 4000, losses=300)

    assert reputation() == 3700


def test_record_accepts_the_rounds_contract(record, reputation, rounds):
    record(10, 6000, sender=rounds)

    assert reputation() == 5000


def test_record_accepts_a_suspended_account(chain, registry, registrar, alice, record, reputation):
    chain.send(registrar, registry.functions.suspend(alice.address))

    record(10, 0)

    assert reputation() == 2000


def test_record_emits_outcomes_recorded(registry, market, record, alice):
    receipt = record(10, 6000, 100, ended_at=123)

    assert events(registry, "OutcomesRecorded", receipt) == [
        {
            "accounts": [registry.address, market.address, alice.address],
            **{"seats": 0b100, "qualities": 6000 << 32, "losses": 100 << 32},
            **{"weight": 10, "endedAt": 123},
        }
    ]


def test_record_does_not_change_other_seats(registry, market, record):
    record(10, 6000)

    assert registry.functions.reputation(market.address).call() == 4000


def test_record_gives_the_same_result_in_either_order(chain, record, reputation):
    old = (30, 9000, 0, chain.now - 5 * MONTH)
    new = (20, 1000, 200, chain.now)
    before = chain.snapshot()
    record(*old)
    record(*new)
    forwards = reputation()
    chain.revert(before)

    record(*new)
    record(*old)

    assert abs(reputation() - forwards) <= 1


def test_reputation_is_4000_for_a_newcomer(admitted, reputation):
    assert reputation() == 4000


def test_reputation_recovers_with_time(chain, record, reputation):
    record(10, 10_000)
    sums = mirror.record(mirror.Sums(), 10, 10_000, 0, chain.now, chain.now)
    assert reputation() == 7000

    chain.travel(12 * MONTH)

    assert reputation() == mirror.score(sums, chain.now)
    assert 5000 < reputation() < 6000


@pytest.mark.parametrize("payment", [0, 1, UNIT - 1])
def test_weight_is_zero_below_the_unit(registry, payment):
    assert registry.functions.outcomeWeight(payment).call() == 0


@pytest.mark.parametrize(("payment", "weight"), [(UNIT, 1), (3 * UNIT - 1, 2), (99 * UNIT, 99)])
def test_weight_counts_whole_units(registry, payment, weight):
    assert registry.functions.outcomeWeight(payment).call() == weight


@pytest.mark.parametrize("payment", [100 * UNIT, 101 * UNIT, 2**256 - 1])
def test_weight_stops_at_100(registry, payment):
    assert registry.functions.outcomeWeight(payment).call() == 100
