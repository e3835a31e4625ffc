"""Attacks from inside a committee: votes, attestations, proposals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils import keccak

from tests.support.accounts import settle_accounts
from tests.support.scenario import (
    ATTEST,
    COMMIT,
    INVALID,
    PAYMENT,
    SALT,
    SLICE,
    TALLY,
    WINDOW,
    Scenario,
    pack,
    unpack,
)

New = Callable[..., Scenario]


def finished(s: Scenario) -> list[int]:
    """From the reveals to the payment. Returns wei by seat."""
    s.tally()
    s.attest_all()
    s.propose(s.order[0])
    s.deliver()
    return settle_accounts(s)[1]


def test_one_vote_does_not_punish_all_proposers(scenario: New) -> None:
    """One member gives everybody the worst score: medians stay, and it is not paid."""
    s = scenario(5).committing()
    s.vote_all(by_voter={4: dict.fromkeys(range(4), 10_000)})
    paid = finished(s)
    assert unpack(s.tallied["medians"], 5) == [1_000, 1_100, 1_200, 1_300, 1_400]
    assert paid[4] == 0
    assert all(paid[:4])


@pytest.mark.parametrize("providers", [4, 5, 8, 16])
def test_calling_all_rivals_invalid_costs_the_liar(scenario: New, providers: int) -> None:
    s = scenario(providers).committing()
    liar = providers - 1
    s.vote_all(by_voter={liar: dict.fromkeys(range(providers), INVALID)})
    paid = finished(s)
    assert paid[liar] == 0
    assert all(paid[:liar])
    assert s.faults[liar] == 1


def test_a_vote_on_oneself_is_refused(scenario: New, expect_revert: Any) -> None:
    s = scenario(3).committing()
    word = pack([0, 1_100, 1_200]) | 1
    commitment = s.commitment(0, word)
    s.rounds_call(s.providers[0], "commitVote", s.id, 0, commitment)
    s.commit(1)
    s.commit(2)
    with expect_revert("TrainingRounds_BadScore", 0, 1):
        s.rounds_call(s.providers[0], "revealVote", s.id, 0, word, SALT)


def test_a_copied_commitment_does_not_open(scenario: New, expect_revert: Any) -> None:
    """A member copies another's commitment, waits for its reveal, and repeats it."""
    s = scenario(3).committing()
    word = s.vote(0)
    copied = s.commitment(0, word)
    s.commit(0)
    s.rounds_call(s.providers[1], "commitVote", s.id, 1, copied)
    s.commit(2)
    s.reveal(0)
    with expect_revert("TrainingRounds_CommitmentMismatch"):
        s.rounds_call(s.providers[1], "revealVote", s.id, 1, word, SALT)
    s.reveal(2)
    s.pass_deadline()
    s.tally()
    assert (s.points[1], s.faults[1]) == (0, 1)


def test_constant_votes_earn_less_than_the_work(scenario: New) -> None:
    """It never evaluates, always votes the same number, and hopes for the voters' part."""
    s = scenario(5, voteBand=50).committing()
    lazy = 4
    s.vote_all(by_voter={lazy: dict.fromkeys(range(4), 1_150)})
    paid = finished(s)
    # Two of four models happen to lie in the band: half a vote's pay, none of the others' quality.
    s2 = scenario(5, voteBand=10).committing()
    s2.vote_all(by_voter={lazy: dict.fromkeys(range(4), 1_150)})
    none = finished(s2)
    assert paid[lazy] < min(paid[:lazy])
    assert none[lazy] == 0


def test_a_leader_that_withholds_loses_its_turn_and_stops_nobody(scenario: New) -> None:
    s = scenario(5).attested()
    before = s.points
    s.chain.next_at(s.facts.start + WINDOW)
    s.propose(1)
    assert s.faults[0] == 1
    assert s.points == [own + 500 * (seat == 1) for seat, own in enumerate(before)]


def test_leaders_that_all_withhold_do_not_undo_earlier_rounds(scenario: New) -> None:
    """Withheld proposals end the request; the points of the tallies are paid."""
    s = scenario(4, maxRounds=4).finalised()
    s.submit_all()
    s.vote_all()
    s.tally()
    s.pass_deadline()
    s.expire_round()
    assert s.faults == [1, 1, 1, 1]
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == PAYMENT - PAYMENT * 2 // 4
    assert all(paid)


def test_echoing_the_leaders_digest_approves_nothing(scenario: New, expect_revert: Any) -> None:
    """Two members copy the leader's attestation instead of computing: it is valid only for it."""
    s = scenario(3).attesting()
    s.attest(0)
    leaders = s.attestation(0, s.global_digest, 900)
    for seat in (1, 2):
        s.rounds_call(s.providers[seat], "attest", s.id, seat, leaders, 900)
    with expect_revert("TrainingRounds_NoQuorum", 1, 2):
        s.propose(0)


def test_a_digest_seen_in_a_proposal_comes_too_late(scenario: New, expect_revert: Any) -> None:
    """A member that attested another digest cannot switch to the proposed one."""
    s = scenario(3).attesting()
    s.attest(0)
    s.attest(1, keccak(text="guess"))
    with expect_revert("TrainingRounds_NoQuorum", 1, 2):
        s.propose(0)
    with expect_revert("TrainingRounds_AlreadyActed"):
        s.attest(1)


def test_the_average_of_the_others_cannot_be_submitted_last(
    scenario: New, expect_revert: Any
) -> None:
    """Models are published after the submissions close, when no digest is accepted any more."""
    s = scenario(4).running()
    for seat in range(3):
        s.submit(seat)
    s.pass_deadline()
    with expect_revert("TrainingRounds_WrongPhase", s.id, COMMIT, 1):
        s.submit(3, keccak(text="average"))
    # Nor is a digest exchanged for another.
    s = scenario(3).running()
    s.submit(0)
    with expect_revert("TrainingRounds_AlreadyActed"):
        s.submit(0, keccak(text="average"))


def test_half_the_voters_cannot_be_fooled_into_a_model_that_the_rest_lacks(scenario: New) -> None:
    """A model that only a minority of the voters can read counts as invalid."""
    s = scenario(6).committing()
    secret = 5
    s.vote_all(by_voter={seat: {secret: INVALID} for seat in range(3)})
    assert finished(s)[secret] == 0


def test_the_slice_is_not_opened_before_the_models_are_fixed(
    scenario: New, expect_revert: Any
) -> None:
    """A requester that colludes with a provider could let it train on the evaluation set."""
    s = scenario(3).running()
    with expect_revert("TrainingRounds_WrongPhase"):
        s.rounds_call(s.requester, "openSlice", s.id, SLICE)


def test_two_of_three_decide_alone(scenario: New) -> None:
    """The stated limit: two thirds of a committee decide votes, aggregate and shares."""
    s = scenario(3).committing()
    league = {0: {1: 0, 2: INVALID}, 1: {0: 0, 2: INVALID}}
    s.vote_all(by_voter=league)
    assert finished(s)[2] == 0


def test_one_of_three_cannot_void_the_others_models(scenario: New) -> None:
    """Each model gets two votes, and it takes more than half of them to make it invalid."""
    s = scenario(3).committing()
    s.vote_all(by_voter={2: {0: INVALID, 1: INVALID}})
    paid = finished(s)
    assert paid[2] == 0
    assert min(paid[:2]) > 0
    assert INVALID not in unpack(s.tallied["medians"], 3)


def test_rounds_with_one_reveal_end_without_pay(scenario: New) -> None:
    s = scenario(3).revealing()
    s.reveal(0)
    s.pass_deadline()
    s.tally()
    assert settle_accounts(s) == (PAYMENT, [0, 0, 0])
    assert s.faults == [0, 1, 1]


def test_a_round_without_attestations_expires(scenario: New, expect_revert: Any) -> None:
    s = scenario(3).attesting()
    with expect_revert("TrainingRounds_NoQuorum", 1, 2):
        s.propose(0)
    assert s.facts.phase == ATTEST
    s.pass_deadline()
    s.expire_round()
    assert settle_accounts(s) == (PAYMENT, [0, 0, 0])


def test_a_round_without_a_valid_model_ends_the_request(scenario: New) -> None:
    s = scenario(3).committing()
    s.vote_all(dict.fromkeys(range(3), INVALID))
    assert s.facts.phase == TALLY
    s.tally()
    assert settle_accounts(s) == (PAYMENT, [0, 0, 0])
