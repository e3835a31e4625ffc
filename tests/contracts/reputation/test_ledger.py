"""One test for each leaf of ledger.tree."""

import pytest

from fedpact.consensus import reputation as mirror
from tests.support.chainkit import events

UNIT = 10**15
DELAY = 7 * 24 * 3600
MONTH = 30 * 24 * 3600
ETHER = "0x" + 40 * "0"


@pytest.fixture(scope="session")
def registrar(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def market(accounts):
    return accounts[3]


@pytest.fixture(scope="session")
def other_market(accounts):
    return accounts[4]


@pytest.fixture(scope="session")
def alice(accounts):
    return accounts[1]


@pytest.fixture
def ledger(chain, registrar, market):
    return chain.deploy(
        "ReputationLedger", registrar, registrar.address, DELAY, market.address, UNIT
    )


@pytest.fixture
def call(chain, ledger):
    def call(sender, name, *args):
        return chain.send(sender, ledger.functions[name](*args))

    return call


@pytest.fixture
def record(chain, call, market, alice):
    """Records an outcome for Alice as a provider; the first market is the default sender."""

    def record(weight, quality, losses=0, ended_at=None, sender=market):
        ended_at = chain.now if ended_at is None else ended_at
        return call(sender, "recordProviders", [(alice.address, quality, losses)], weight, ended_at)

    return record


@pytest.fixture
def reputation(ledger, alice):
    return lambda: ledger.functions.reputation(alice.address).call()


@pytest.fixture
def as_requester(ledger, alice):
    return lambda: ledger.functions.requesterReputation(alice.address).call()


def test_record_reverts_for_any_other_caller(record, registrar, expect_revert):
    with expect_revert("ReputationLedger_NotRecorder", registrar):
        record(10, 10_000, sender=registrar)


def test_record_reverts_for_a_request_that_ends_in_the_future(chain, record, expect_revert):
    now = chain.now + 1
    chain.next_at(now)

    with expect_revert("ReputationLedger_NotEnded", now + 1, now):
        record(10, 10_000, ended_at=now + 1)


def test_record_raises_for_quality(record, reputation):
    record(10, 6000)

    assert reputation() == 5000


def test_record_lowers_for_losses(record, reputation):
    record(10, 4000, losses=300)

    assert reputation() == 3700


def test_record_of_weight_zero_changes_the_losses_alone(record, reputation):
    record(0, 10_000, losses=100)

    assert reputation() == 3900


def test_losses_stop_at_1000(record, reputation):
    for _ in range(4):
        record(0, 0, losses=300)
    assert reputation() == 3000

    record(0, 0, losses=65_535)
    assert reputation() == 3000


def test_record_counts_no_more_than_the_largest_quality_and_weight(record, reputation):
    record(2**256 - 1, 65_535)

    assert reputation() == (100 * 10_000 + 10 * 4000) // 110


def test_record_emits_providers_recorded(ledger, market, record, alice):
    receipt = record(10, 6000, 100, ended_at=123)

    assert events(ledger, "ProvidersRecorded", receipt) == [
        {
            "recorder": market.address,
            "weight": 10,
            "endedAt": 123,
            "outcomes": [{"account": alice.address, "quality": 6000, "losses": 100}],
        }
    ]


def test_record_does_not_change_the_account_as_a_requester(record, as_requester):
    record(10, 10_000, losses=100)

    assert as_requester() == 4000


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


def test_record_requester_reverts_for_any_other_caller(chain, call, alice, expect_revert):
    with expect_revert("ReputationLedger_NotRecorder", alice):
        call(alice, "recordRequester", (alice.address, 10_000, 0), 10, chain.now)


def test_record_requester_changes_that_reputation_alone(
    ledger, chain, call, market, alice, reputation, as_requester
):
    receipt = call(market, "recordRequester", (alice.address, 10_000, 100), 10, chain.now)

    assert (reputation(), as_requester()) == (4000, 6900)
    (event,) = events(ledger, "RequesterRecorded", receipt)
    assert event["outcome"] == {"account": alice.address, "quality": 10_000, "losses": 100}
    assert (event["recorder"], event["weight"]) == (market.address, 10)


def test_announce_recorder_reverts_for_a_stranger(call, alice, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", alice):
        call(alice, "announceRecorder", alice.address, True)


def test_a_new_recorder_waits_for_the_delay(
    ledger, chain, call, registrar, record, other_market, expect_revert
):
    receipt = call(registrar, "announceRecorder", other_market.address, True)
    effective = chain.now + DELAY
    assert events(ledger, "RecorderAnnounced", receipt) == [
        {"account": other_market.address, "allowed": True, "effective": effective}
    ]
    chain.next_at(effective - 1)

    with expect_revert("ReputationLedger_NotRecorder", other_market):
        record(10, 6000, sender=other_market)


def test_a_new_market_records_beside_and_after_the_old_one(
    chain, call, registrar, record, reputation, market, other_market, expect_revert
):
    """The move to another market: no reputation is lost on the way."""
    chain.mine_at((chain.now // MONTH + 1) * MONTH)  # so that nothing decays meanwhile
    record(10, 6000)
    call(registrar, "announceRecorder", other_market.address, True)
    call(registrar, "announceRecorder", market.address, False)
    chain.travel(DELAY - 2)
    assert reputation() == 5000
    record(10, 5000)

    chain.travel(2)
    record(20, 8000, sender=other_market)
    assert reputation() == (10 * 4000 + 10 * 6000 + 10 * 5000 + 20 * 8000) // 50
    with expect_revert("ReputationLedger_NotRecorder", market):
        record(10, 0)


def test_a_later_announcement_replaces_one_that_has_not_taken_effect(
    chain, ledger, call, registrar, other_market
):
    call(registrar, "announceRecorder", other_market.address, True)
    call(registrar, "announceRecorder", other_market.address, False)
    chain.travel(DELAY)

    assert not ledger.functions.isRecorder(other_market.address).call()


def test_announce_unit_reverts_for_a_stranger(call, alice, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", alice):
        call(alice, "announceUnit", alice.address, 1)


def test_a_unit_takes_effect_when_the_delay_is_over(chain, ledger, call, registrar, alice):
    token = alice.address
    receipt = call(registrar, "announceUnit", token, 5)
    effective = chain.now + DELAY
    assert events(ledger, "UnitAnnounced", receipt) == [
        {"token": token, "unit": 5, "effective": effective}
    ]
    chain.mine_at(effective - 1)
    assert ledger.functions.weightOf(token, 100).call() == 0

    chain.mine_at(effective)
    assert ledger.functions.unitOf(token).call() == 5
    assert ledger.functions.weightOf(token, 100).call() == 20


def test_a_token_without_a_unit_weighs_nothing(ledger, alice):
    assert ledger.functions.weightOf(alice.address, 2**256 - 1).call() == 0


@pytest.mark.parametrize(
    ("amount", "weight"), [(UNIT - 1, 0), (3 * UNIT - 1, 2), (100 * UNIT, 100), (2**256 - 1, 100)]
)
def test_weight_counts_whole_units_up_to_100(ledger, amount, weight):
    assert ledger.functions.weightOf(ETHER, amount).call() == weight


def test_reputation_is_4000_for_a_newcomer(reputation, as_requester):
    assert (reputation(), as_requester()) == (4000, 4000)


def test_reputation_returns_towards_4000_with_time(chain, record, reputation):
    record(10, 10_000)
    sums = mirror.record(mirror.Sums(), 10, 10_000, 0, chain.now, chain.now)
    assert reputation() == 7000

    chain.travel(12 * MONTH)

    assert reputation() == mirror.score(sums, chain.now)
    assert 5000 < reputation() < 6000


def test_the_role_is_transferred_when_the_other_accepts(
    ledger, call, registrar, alice, expect_revert
):
    call(registrar, "transferRegistrar", alice.address)
    assert ledger.functions.registrar().call() == registrar.address

    call(alice, "acceptRegistrar")
    with expect_revert("OwnableUnauthorizedAccount", registrar):
        call(registrar, "announceUnit", ETHER, 1)


def test_the_role_is_not_given_up(call, registrar, expect_revert):
    with expect_revert("ReputationLedger_RegistrarRequired", registrar):
        call(registrar, "renounceOwnership")


def test_the_first_market_and_the_unit_of_ether_need_no_announcement(ledger, market):
    assert ledger.functions.isRecorder(market.address).call()
    assert ledger.functions.unitOf(ETHER).call() == UNIT
    assert ledger.functions.delay().call() == DELAY
