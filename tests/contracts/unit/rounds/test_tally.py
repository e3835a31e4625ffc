"""See tally.tree."""

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from tests.support.scenario import (
    ATTEST,
    COMMIT,
    ENDED,
    INVALID,
    REVEAL,
    TALLY,
    Scenario,
    pack,
    seats_of,
    unpack,
)


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage().revealed()


@pytest.fixture(scope="module")
def open_votes(stage: Any) -> Scenario:
    """Four members have submitted."""
    return stage(4, maxError=3_000).committing()


def test_it_is_refused_before_the_end_of_the_reveals(scenario: Any, expect_revert: Any) -> None:
    s = scenario().committing()
    with expect_revert("TrainingRounds_WrongPhase", s.id, COMMIT, TALLY):
        s.tally()
    for seat in range(3):
        s.commit(seat)
    with expect_revert("TrainingRounds_WrongPhase", s.id, REVEAL, TALLY):
        s.tally()


def test_a_second_tally_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.tally()
    with expect_revert("TrainingRounds_WrongPhase", s.id, ATTEST, TALLY):
        s.tally()


def test_medians_and_masks_are_announced(s: Scenario) -> None:
    event = s.event("RoundTallied", s.tally())
    assert unpack(event["medians"], 3) == [1_000, 1_100, 1_200]
    given = [(event["points"] >> (16 * seat)) & 0xFFFF for seat in range(3)]
    assert given == s.points
    assert (event["included"], event["valid"], event["faults"]) == (0b111, 0b111, 0)


def test_points_follow_validity_quality_and_votes(s: Scenario) -> None:
    s.tally()
    qualities = [9_000 - 1_000, 9_000 - 1_100, 9_000 - 1_200]
    expected = [1_500 // 3 + 7_000 * q // sum(qualities) + 1_000 * 2 // 6 for q in qualities]
    assert s.points == expected
    assert s.faults == [0, 0, 0]


def test_a_tally_opens_the_attestations(s: Scenario) -> None:
    s.tally()
    facts = s.facts
    assert (facts.phase, facts.start, facts.paidRounds) == (ATTEST, s.chain.now, 1)
    assert facts.deadline == facts.start + 3 * s.terms["proposeWindow"]


def test_the_round_is_chained_to_the_history(s: Scenario) -> None:
    before = s.facts.history
    votes = [s.vote(seat) for seat in range(3)]
    s.tally()
    kinds = ["bytes32", "uint256", "uint256", "uint256[]", "uint256"]
    facts = [before, 1, 0b111, votes, s.tallied["medians"]]
    assert s.facts.history == keccak(encode(kinds, facts))


def test_bad_models_are_left_out(open_votes: Scenario) -> None:
    s = open_votes
    s.vote_all({0: 1_000, 1: 3_000, 2: 3_001, 3: INVALID})
    s.tally()
    assert unpack(s.tallied["medians"], 4) == [1_000, 3_000, 3_001, INVALID]
    assert (s.tallied["included"], s.tallied["valid"]) == (0b0011, 0b0111)
    assert s.points[3] == 0
    # Neither holds any quality, but both were valid, and voted well.
    assert s.points[1] == s.points[2] == 1_500 // 3 + 1_000 // 3


def test_an_adverse_voter_gets_a_fault_and_no_points(open_votes: Scenario) -> None:
    s = open_votes
    honest = {0: 1_000, 1: 1_100, 2: 1_200, 3: 1_000}
    s.vote_all(honest, by_voter={3: {0: 9_000, 1: 9_000, 2: 1_200}})
    event = s.event("RoundTallied", s.tally())
    assert unpack(s.tallied["medians"], 4) == [1_000, 1_100, 1_200, 1_000]
    assert s.faults == [0, 0, 0, 1]
    assert event["faults"] == 0b1000
    assert s.points[3] == 0
    assert all(s.points[:3])


def test_a_withheld_vote_gets_a_fault_and_no_points(open_votes: Scenario) -> None:
    s = open_votes
    for seat in range(4):
        s.commit(seat)
    for seat in (0, 1, 2):
        s.reveal(seat)
    s.pass_deadline()
    s.tally()
    assert s.faults == [0, 0, 0, 1]
    assert s.points[3] == 0
    assert seats_of(s.tallied["included"]) == [0, 1, 2, 3]
    assert 3 not in s.order


def test_missing_a_round_after_a_first_submission_is_a_fault(scenario: Any) -> None:
    s = scenario(4, maxRounds=3).running()
    for seat in (0, 1, 2):
        s.submit(seat)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    assert s.faults == [0, 0, 0, 0]
    s.attest_all()
    s.propose()
    s.submit(0)
    s.submit(1)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    assert s.faults == [0, 0, 1, 0]


@pytest.mark.parametrize("revealing", [0, 1])
def test_fewer_than_two_votes_end_the_request(open_votes: Scenario, revealing: int) -> None:
    s = open_votes
    for seat in range(2):
        s.commit(seat)
    s.pass_deadline()
    for seat in range(revealing):
        s.reveal(seat)
    s.pass_deadline()
    event = s.event("RequestEnded", s.tally())
    assert (event["round"], event["reached"], event["finalRounds"]) == (1, False, 0)
    assert s.facts.phase == ENDED
    assert s.faults == [int(revealing < seat + 1 <= 2) for seat in range(4)]
    assert s.market.functions.refundable(s.id).call() == s.payment


def test_a_round_without_commitments_ends_the_request(open_votes: Scenario) -> None:
    open_votes.pass_deadline()
    open_votes.tally()
    assert open_votes.facts.phase == ENDED


def test_a_round_without_included_models_ends_the_request(open_votes: Scenario) -> None:
    s = open_votes
    s.vote_all(dict.fromkeys(range(4), 3_001))
    s.tally()
    assert (s.facts.phase, s.tallied["included"]) == (ENDED, 0)
    assert s.market.functions.refundable(s.id).call() == s.payment


def test_sixteen_members_fill_every_lane(scenario: Any) -> None:
    s = scenario(16).revealed()
    s.tally()
    assert unpack(s.tallied["medians"], 16) == [1_000 + 100 * seat for seat in range(16)]
    assert s.tallied["medians"] == pack([1_000 + 100 * seat for seat in range(16)])
    assert 9_400 < sum(s.points) <= 9_500


def test_accounts_that_do_not_hold_the_seats_are_refused(s: Scenario, expect_revert: Any) -> None:
    right = s.accounts
    for wrong in ([right[1], right[0], right[2]], [*right[:2], s.stranger.address]):
        seat = next(seat for seat in range(3) if wrong[seat] != right[seat])
        with expect_revert("TrainingRounds_NotSeatOwner", s.id, seat, wrong[seat]):
            s.rounds_call(s.stranger, "tally", s.id, wrong)
    for wrong in ([], right[:2], [*right, right[0]]):
        with expect_revert("TrainingRounds_WrongNumber", s.id, len(wrong), 3):
            s.rounds_call(s.stranger, "tally", s.id, wrong)


def test_the_account_of_a_seat_without_submission_is_ignored(scenario: Any) -> None:
    s = scenario(4).running()
    for seat in (0, 1, 3):
        s.submit(seat)
    s.pass_deadline()
    s.vote_all()
    accounts = s.accounts
    s.rounds_call(s.stranger, "tally", s.id, [*accounts[:2], s.stranger.address, accounts[3]])
    assert s.facts.phase == ATTEST
