"""See views.tree."""

from typing import Any

from eth_abi import encode
from eth_utils import keccak

from tests.support.scenario import (
    COMMIT,
    KEY_HASH,
    MANIFEST,
    REVEAL,
    SALT,
    TALLY,
    WINDOW,
)


def test_phases_follow_from_the_clock_alone(scenario: Any) -> None:
    s = scenario().running()
    s.submit(0)
    s.submit(1)
    closed = s.facts.deadline
    for elapsed, phase in [(1, COMMIT), (WINDOW, COMMIT), (WINDOW + 1, TALLY)]:
        s.chain.mine_at(closed + elapsed)
        assert s.facts.phase == phase
    assert s.facts.start == closed + WINDOW


def test_each_phase_starts_where_the_last_one_ended(scenario: Any) -> None:
    s = scenario().running()
    s.submit(0)
    s.submit(1)
    closed = s.facts.deadline
    s.chain.mine_at(closed + 500)
    s.commit(0)
    s.chain.mine_at(closed + WINDOW + 1)
    facts = s.facts
    assert (facts.phase, facts.start) == (REVEAL, closed + WINDOW)
    assert facts.deadline == closed + 2 * WINDOW


def test_duty_names_the_seat(scenario: Any) -> None:
    s = scenario().running()
    for account, seat in [(s.providers[2].address, 2), (s.stranger.address, 255)]:
        facts, found = s.rounds.functions.duty(s.id, account).call()
        assert (found, facts.round) == (seat, 1)
    assert s.rounds.functions.duty(s.id, f"0x{0:040x}").call()[1] == 255


def test_the_order_is_empty_before_the_tally(scenario: Any) -> None:
    assert scenario().revealed().order == []


def test_the_order_weighs_errors_by_samples(scenario: Any) -> None:
    s = scenario()
    s.create()
    samples = [300, 200, 100]
    for seat in range(3):
        s.join(seat, samples[seat])
    s.start()
    s.submit_all()
    scores = {0: 1_000, 1: 1_050, 2: 1_290}
    s.vote_all(scores)
    s.tally()
    # eq. 7: (1 + d_j / sum d) MAE_j + mean MAE, the last term common to all.
    assert s.order == sorted(range(3), key=lambda seat: (600 + samples[seat]) * scores[seat])
    assert s.order == [1, 0, 2]


def test_samples_are_capped_at_twice_the_median(scenario: Any) -> None:
    s = scenario()
    s.create()
    for seat, samples in enumerate([10_000_000, 100, 100]):
        s.join(seat, samples)
    s.start()
    s.submit_all()
    # Capped at 200 of 400: 1.5 * 1,000 > 1.25 * 1,190; uncapped it would be 2 * 1,000.
    s.vote_all({0: 1_000, 1: 1_190, 2: 1_210})
    s.tally()
    assert s.order == [1, 0, 2]


def test_by_reputation_the_last_leader_comes_last(scenario: Any) -> None:
    scenario().delivered()
    s = scenario(leaderRule=1, maxRounds=3)
    # The earlier request has left three different names.
    names = [s.registry.functions.reputation(p.address).call() for p in s.providers]
    assert names[0] > names[1] > names[2]
    s.create()
    s.join_all()
    s.start()
    s.submit_all()
    s.vote_all()
    s.tally()
    assert s.order == [0, 1, 2]
    s.attest_all()
    s.propose(0)
    s.submit_all()
    s.vote_all()
    s.tally()
    assert s.order == [1, 2, 0]


def test_ties_are_broken_by_hash(scenario: Any) -> None:
    s = scenario(5).committing()
    s.vote_all(dict.fromkeys(range(5), 1_000))
    s.tally()
    lots = [keccak(encode(["uint256", "address"], [1, p.address])) for p in s.providers]
    assert s.order == sorted(range(5), key=lots.__getitem__)


def test_only_the_true_history_verifies(scenario: Any) -> None:
    s = scenario(maxRounds=3).opened()
    terms = s.terms_hash

    def holds(claimed: list[Any], *begin: bytes) -> bool:
        start = begin or (terms, MANIFEST, KEY_HASH)
        return bool(s.rounds.functions.verifyHistory(s.id, *start, claimed).call())

    assert holds([], terms, bytes(32), bytes(32))
    assert not holds([], SALT, bytes(32), bytes(32))
    s.start()
    assert holds([])
    records: list[Any] = []
    for number in (1, 2):
        digests = [s.digest(seat) for seat in (2, 0, 1)]
        for seat in (2, 0, 1):
            s.submit(seat)
        votes = [s.vote(seat) for seat in range(3)]
        s.vote_all()
        s.tally()
        medians = s.tallied["medians"]
        records.append((number, [2, 0, 1], digests, True, 0b111, votes, medians))
        s.attest_all()
        s.propose(s.order[0])
    s.submit(1)
    records.append((3, [1], [s.digest(1)], False, 0, [], 0))

    first, second, third = records
    assert holds(records)
    for begin in [(SALT, MANIFEST, KEY_HASH), (terms, SALT, KEY_HASH), (terms, MANIFEST, SALT)]:
        assert not holds(records, *begin)
    for other in ([], [first], [first, second], [second, first, third], [*records, third]):
        assert not holds(other)
    others = (6, [2, 1, 0], [SALT, *second[2][1:]], False, 0b11, second[5][:2], 6)
    for index, other in enumerate(others):
        changed: list[Any] = list(second)
        changed[index] = other
        assert not holds([first, tuple(changed), third])


def test_unknown_requests_and_seats_are_empty(scenario: Any) -> None:
    s = scenario()
    functions = s.rounds.functions
    assert [list(part) for part in functions.points(999).call()] == [[], []]
    assert functions.verifyHistory(999, *[bytes(32)] * 3, []).call()
    assert functions.seatOf(999, s.stranger.address).call() == 255
    assert tuple(functions.member(999, s.stranger.address).call()) == (255, 0, 0, 0)
    assert s.market.functions.request(999).call().status == 0
