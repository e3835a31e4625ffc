"""See propose.tree."""

from typing import Any

import pytest
from eth_utils import keccak

from tests.support.chainkit import events
from tests.support.scenario import ATTEST, ENDED, INVALID, SUBMIT, TALLY, WINDOW, Scenario, seats_of

OTHER = keccak(text="another global model")


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage(maxRounds=2).attested()


@pytest.fixture(scope="module")
def five(stage: Any) -> Scenario:
    """Five members have revealed; none has attested."""
    return stage(5, maxRounds=2).attesting()


def test_it_is_refused_before_the_tally(scenario: Any, expect_revert: Any) -> None:
    s = scenario().revealed()
    with expect_revert("TrainingRounds_WrongPhase", s.id, TALLY, ATTEST):
        s.propose()


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 0, s.providers[1].address):
        s.rounds_call(s.providers[1], "propose", s.id, 0, s.global_digest, 900, s.accounts)


def test_a_zero_digest_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_ZeroDigest"):
        s.rounds_call(s.providers[0], "propose", s.id, 0, bytes(32), 900, s.accounts)


def test_members_that_are_excluded_or_did_not_reveal_do_not_lead(
    scenario: Any, expect_revert: Any
) -> None:
    s = scenario(5, maxError=1_250).committing()
    for seat in range(5):
        s.commit(seat)
    for seat in (1, 2, 3, 4):
        s.reveal(seat)
    s.pass_deadline()
    s.tally()
    assert s.order == [1, 2]
    s.attest_all()
    for seat in (0, 3, 4):
        with expect_revert("TrainingRounds_NotEligible", s.id, 1, seat):
            s.propose(seat)


def test_the_second_leader_waits_for_its_turn(s: Scenario, expect_revert: Any) -> None:
    opens = s.facts.start + WINDOW
    s.chain.next_at(opens - 1)
    with expect_revert("TrainingRounds_TooEarly", s.id, 1, opens):
        s.propose(1)


def test_a_leader_that_attested_another_model_cannot_propose(
    five: Scenario, expect_revert: Any
) -> None:
    five.attest(0, OTHER)
    for seat in range(1, 5):
        five.attest(seat)
    with expect_revert("TrainingRounds_ProposerDisagrees", five.id, 0, five.global_digest):
        five.propose()


def test_a_proposal_is_the_leaders_attestation(five: Scenario) -> None:
    for seat, mae in [(1, 100), (2, 300), (3, 400)]:
        five.attest(seat, mae=mae)
    attestation = five.attestation(0, five.global_digest, 200)
    receipt = five.propose(mae=200)
    attested = five.event("Attested", receipt)
    assert (attested["seat"], attested["mae"]) == (0, 200)
    assert attested["attestation"] == attestation
    final = five.event("RoundFinalised", receipt)
    assert (final["approvals"], final["mae"]) == (0b01111, 250)


def test_the_error_in_a_proposal_is_ignored_after_an_attestation(five: Scenario) -> None:
    for seat, mae in enumerate([200, 100, 300, 400, 500]):
        five.attest(seat, mae=mae)
    receipt = five.propose(mae=10_000)
    assert five.event("RoundFinalised", receipt)["mae"] == 300
    assert events(five.rounds, "Attested", receipt) == []


@pytest.mark.parametrize("mae", [10_001, 16_382, 16_384])
def test_an_impossible_error_is_refused(five: Scenario, mae: int, expect_revert: Any) -> None:
    for seat in range(1, 5):
        five.attest(seat)
    with expect_revert("TrainingRounds_BadError", mae):
        five.propose(mae=mae)


def test_other_accounts_are_refused(s: Scenario, expect_revert: Any) -> None:
    swapped = [s.accounts[seat] for seat in (0, 2, 1)]
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 1, swapped[1]):
        s.rounds_call(s.providers[0], "propose", s.id, 0, s.global_digest, 900, swapped)
    with expect_revert("TrainingRounds_WrongNumber", s.id, 2, 3):
        s.rounds_call(s.providers[0], "propose", s.id, 0, s.global_digest, 900, s.accounts[:2])


def test_too_few_approvals_leave_the_round_open(five: Scenario, expect_revert: Any) -> None:
    for seat in (0, 1, 2):
        five.attest(seat)
    five.attest(3, OTHER)
    with expect_revert("TrainingRounds_NoQuorum", 3, 4):
        five.propose()
    five.attest(4)
    five.propose()
    assert five.facts.finalRounds == 1


def test_half_of_the_expected_seats_is_not_enough(scenario: Any, expect_revert: Any) -> None:
    s = scenario(5).committing()
    for seat in range(5):
        s.commit(seat)
    s.reveal(0)
    s.reveal(1)
    s.pass_deadline()
    s.tally()
    s.attest_all()
    with expect_revert("TrainingRounds_NoQuorum", 2, 3):
        s.propose()


@pytest.mark.parametrize("agree", [True, False])
def test_unanimity_needs_all_who_revealed(scenario: Any, agree: bool, expect_revert: Any) -> None:
    s = scenario(approvalRule=1).attesting()
    for seat in range(3):
        s.attest(seat, s.global_digest if agree or seat < 2 else OTHER)
    if agree:
        s.propose()
        assert s.facts.finalRounds == 1
    else:
        with expect_revert("TrainingRounds_NoQuorum", 2, 3):
            s.propose()


def test_a_copied_attestation_does_not_count(five: Scenario, expect_revert: Any) -> None:
    echoed = five.attestation(0, five.global_digest, 900)
    for seat in range(5):
        five.rounds_call(five.providers[seat], "attest", five.id, seat, echoed, 900)
    with expect_revert("TrainingRounds_NoQuorum", 1, 4):
        five.propose()


def test_a_final_round_is_recorded(s: Scenario) -> None:
    before = s.points
    digest = s.global_digest
    assert s.event("RoundFinalised", s.propose()) == {
        "requestId": s.id,
        "round": 1,
        "leader": 0,
        "digest": digest,
        "mae": 900,
        "approvals": 0b111,
        "passed": 0,
    }
    assert s.rounds.functions.finalDigest(s.id).call() == digest
    assert s.points == [before[0] + 500, *before[1:]]
    assert (s.facts.lastLeader, s.facts.finalRounds) == (0, 1)


@pytest.mark.parametrize(
    ("errors", "median"),
    [
        ([700, 100, 900, 300, 500], 500),
        ([700, 100, 900, 304, None], 502),
        ([700, 100, 901, 304, None], 502),
        ([700, 100, 901, 305, None], 503),
        ([INVALID, 100, 200, INVALID, None], INVALID),
        ([INVALID, 100, 200, INVALID, 300], 300),
    ],
)
def test_the_error_is_the_median_of_the_approvers(
    five: Scenario, errors: list[int | None], median: int
) -> None:
    for seat, mae in enumerate(errors):
        if mae is None:
            five.attest(seat, OTHER, mae=0)
        else:
            five.attest(seat, mae=mae)
    assert five.event("RoundFinalised", five.propose())["mae"] == median


@pytest.mark.parametrize(("mae", "reached"), [(500, True), (501, False)])
def test_the_target_ends_the_request(scenario: Any, mae: int, reached: bool) -> None:
    s = scenario(maxRounds=5, target=500).attested(mae)
    s.propose()
    assert s.facts.reached is reached
    assert s.facts.phase == (ENDED if reached else SUBMIT)


def test_a_target_of_zero_is_never_reached(scenario: Any) -> None:
    s = scenario(maxRounds=5, target=0).attested(0)
    s.propose()
    assert not s.facts.reached
    assert s.facts.phase == SUBMIT


def test_the_last_round_ends_the_request(scenario: Any) -> None:
    s = scenario(maxRounds=1, target=500).attested()
    event = s.event("RequestEnded", s.propose())
    assert (event["round"], event["reached"], event["finalRounds"]) == (1, False, 1)
    outcome = s.rounds.functions.outcome(s.id).call()
    assert (outcome.ended, outcome.endedAt, outcome.lastLeader) == (True, s.chain.now, 0)


def test_the_next_round_opens_to_the_active(scenario: Any) -> None:
    s = scenario(5, maxRounds=2).running()
    for seat in range(4):
        s.submit(seat)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    s.attest_all()
    s.suspend(s.providers[3])
    event = s.event("RoundOpened", s.propose())
    assert (event["round"], event["expected"], event["barred"]) == (2, 0b00111, 0b01000)
    facts = s.facts
    assert (facts.phase, facts.round, facts.start) == (SUBMIT, 2, s.chain.now)
    assert (facts.submitted, facts.committed, facts.revealed, facts.attested) == (0, 0, 0, 0)
    assert [s.member(seat).lanes for seat in range(5)] == [0] * 5


def test_a_second_suspension_is_noticed_as_well(scenario: Any) -> None:
    s = scenario(5, maxRounds=3).running()
    barred = 0
    for suspended in (4, 3):
        for seat in range(suspended):
            s.submit(seat)
        s.pass_deadline()
        s.vote_all()
        s.tally()
        s.attest_all()
        s.suspend(s.providers[suspended])
        barred |= 1 << suspended
        assert s.event("RoundOpened", s.propose())["barred"] == barred


def test_unmeasured_errors_do_not_reach_the_target(scenario: Any) -> None:
    s = scenario(maxRounds=2, target=10_000).attested(INVALID)
    s.propose()
    assert (s.facts.reached, s.facts.phase) == (False, SUBMIT)


def test_leaders_that_miss_their_turn_get_a_fault(s: Scenario) -> None:
    s.chain.next_at(s.facts.start + 2 * WINDOW)
    event = s.event("RoundFinalised", s.propose(2))
    assert (event["leader"], event["passed"]) == (2, 0b011)
    assert s.faults == [1, 1, 0]
    assert s.facts.lastLeader == 2


def test_an_adverse_voter_does_not_lead(scenario: Any, expect_revert: Any) -> None:
    s = scenario(4).committing()
    s.vote_all(by_voter={0: {1: 8_000, 2: 8_000, 3: 8_000}})
    s.tally()
    s.attest_all()
    assert seats_of(s.tallied["included"]) == [0, 1, 2, 3]
    assert s.order == [1, 2, 3]
    with expect_revert("TrainingRounds_NotEligible", s.id, 1, 0):
        s.propose(0)
    s.propose(1)
    assert s.faults == [1, 0, 0, 0]
