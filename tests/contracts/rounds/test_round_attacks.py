"""Attacks on rounds that paid in the first protocol gain nothing here."""

from __future__ import annotations

from typing import Any

from eth_utils import keccak

from fedpact.consensus.draw import next_seed
from tests.contracts.rounds.kit import ATTEST, ENDED, INVALID, WAITING, WINDOW, Rounds, lanes16


def blind_round(r: Rounds) -> None:
    """The members submit, and the requester opens no slice."""
    seats = range(len(r.members))
    r.submit(*seats)
    r.chain.mine_at(r.facts.deadline - WINDOW // 2 + 1)
    r.tally()
    r.attest(*seats)
    r.finalise()


def test_no_slice_no_free_models(running: Any) -> None:
    """A requester that never opens a slice had all models, and its whole payment back."""
    r: Rounds = running(3, maxRounds=2)
    blind_round(r)
    blind_round(r)
    assert (r.outcome.paidRounds, r.outcome.finalRounds) == (2, 2)
    assert [sum(r.points(i)) for i in (0, 1)] == [9_998, 9_998]


def test_wrong_labels_are_paid(running: Any) -> None:
    """A slice labelled so that every model fails made the round worthless for its makers."""
    r: Rounds = running(3, maxError=2_000)
    r.submit(0, 1, 2)
    r.voted(0, 1, 2, scores={0: 8_000, 1: 8_100, 2: 8_200})
    r.attest(0, 1, 2)
    r.finalise()
    assert all(points > 3_100 for points in r.points())
    assert r.faults() == []


def test_a_slice_that_one_cannot_open_costs_it_the_votes_alone(running: Any) -> None:
    """The victim of a key sealed to all others was adverse: no points, a fault, less reputation."""
    r: Rounds = running(4)
    r.submit(0, 1, 2, 3)
    r.open_slice()
    r.commit(0, blind=True)
    r.commit(1, 2, 3)
    r.reveal(0, 1, 2, 3)
    r.attest(0, 1, 2, 3)
    r.finalise()
    assert r.faults() == []
    # It even leads; without the votes' share of 250 it is still first.
    assert r.points()[0] == max(r.points())


def test_a_third_does_not_forge_the_target(running: Any) -> None:
    """Two of six attested error 0, and the mean of the middle two met the target."""
    r: Rounds = running(6)
    r.submit(*range(6))
    r.voted(*range(6))
    r.attest(0, 1, error=0)
    r.attest(2, 3, 4, 5, error=501)
    r.finalise()
    assert not r.outcome.reached
    assert r.facts.round == 2


def test_silent_joiners_pay_for_their_silence(running: Any) -> None:
    """Three of five join and are silent: the quorum exceeded the two that worked."""
    r: Rounds = running(5)
    r.submit(0, 1)
    r.pass_deadline()
    r.pass_deadline()
    r.voted(0, 1)
    r.attest(0, 1)
    r.finalise()
    assert r.faults() == [2, 3, 4]
    assert sum(r.points()[:2]) > 9_900
    assert r.outcome.finalRounds == 1
    r.post((0, 1))


def test_a_manifest_that_opens_for_nobody_costs_its_maker(running: Any) -> None:
    """The first joiner started with a manifest that nobody had, and the request was dead."""
    r: Rounds = running(3)
    r.pass_deadline()
    r.close()
    assert r.facts.phase == WAITING
    assert r.earned[-1][2] & 0xFFFF == 1
    r.start(1)
    r.post()
    assert r.outcome.finalRounds == 1


def test_a_suspension_moves_no_points(running: Any) -> None:
    """The registrar suspended two of four after round 1: the other two got 89 % of the pool."""
    r: Rounds = running(4, maxRounds=2)
    r.post()
    for member in r.members[2:]:
        r.chain.send(r.on.registrar, r.on.registry.functions.suspend(member.address))
    r.chain.travel(1)
    r.post()
    assert r.points(0) == r.points(1)
    assert r.facts.phase == ENDED


def test_waiting_out_a_leader_does_not_blame_it(running: Any) -> None:
    """The others attested only after the first leader's turn, which then had a fault."""
    r: Rounds = running(3)
    r.submit(0, 1, 2)
    r.voted(0, 1, 2)
    r.attest(0)
    r.chain.mine_at(r.facts.deadline)
    r.attest(1, 2)
    r.finalise()
    assert r.faults() == []
    assert r.points()[0] == max(r.points())


def test_a_member_left_out_by_posters_loses_gas_alone(running: Any) -> None:
    r: Rounds = running(4)
    r.submit(0, 1, 2)
    r.submit(3)
    r.open_slice()
    r.commit(0, 1, 2)
    r.commit(3)
    r.reveal(0, 1, 2)
    r.reveal(3, sender=r.members[3])
    r.attest(0, 1, 2)
    r.attest(3)
    r.finalise()
    direct = r.points()
    r.post()
    assert direct == r.points()


def test_nobody_posts_a_round_without_an_expected_member(running: Any, expect_revert: Any) -> None:
    r: Rounds = running(4)
    with expect_revert("TrainingRounds_WrongNumber", 3, 4):
        r.post((0, 1, 2))


def test_what_a_poster_writes_does_not_move_the_next_draw(running: Any) -> None:
    """A poster chooses the block and nothing else: one draw a block."""
    r: Rounds = running(8, cohort=3)
    before = r.facts.seed
    snapshot = r.chain.snapshot()
    for error in (901, 902, 903):
        r.post(errors=error)
        mix = r.chain.w3.eth.get_block("latest")["mixHash"]
        assert r.facts.seed == next_seed(before, int.from_bytes(mix, "big"))
        r.chain.revert(snapshot)
        snapshot = r.chain.snapshot()


def tallied(r: Rounds) -> Rounds:
    """All submit and vote, and the votes are counted."""
    seats = range(len(r.members))
    r.submit(*seats)
    r.voted(*seats)
    return r


def test_two_of_five_that_attest_nothing_cost_themselves_alone(running: Any) -> None:
    """The quorum was two thirds of those that might attest: nobody was paid, nobody at fault."""
    r = tallied(running(5))
    r.attest(0, 1, 2)
    r.pass_deadline()
    r.finalise()
    assert r.outcome.finalRounds == 1
    assert r.faults() == [3, 4]
    board = r.board
    assert board is not None
    before = lanes16(board.points, 5)
    gained = [own - had for own, had in zip(r.points(), before, strict=True)]
    assert gained == [166 + 500, 166, 166, 0, 0]


def test_an_outage_in_the_attestations_blames_nobody(running: Any) -> None:
    """While at most half have attested, the window opens once more, as for the submissions."""
    r = tallied(running(5))
    r.attest(0, 1)
    first = r.facts.deadline
    r.pass_deadline()
    facts = r.facts
    assert (facts.phase, facts.reopened, facts.deadline) == (ATTEST, True, first + WINDOW)
    r.attest(2, 3, 4)
    r.finalise()
    assert r.faults() == []
    assert r.outcome.finalRounds == 1


def test_a_majority_that_attests_nothing_in_two_windows_is_at_fault(running: Any) -> None:
    r = tallied(running(5))
    r.attest(0, 1)
    r.pass_deadline()
    r.pass_deadline()
    r.finalise()
    assert r.outcome.finalRounds == 0
    assert r.faults() == [2, 3, 4]


def test_nobody_is_blamed_where_no_two_attested_the_same(running: Any) -> None:
    """One alone does not show that there was anything to attest."""
    r = tallied(running(3))
    r.attest(0)
    r.pass_deadline()
    r.pass_deadline()
    r.finalise()
    assert r.faults() == []


def test_nobody_is_blamed_for_not_attesting_after_the_requester_cancelled(running: Any) -> None:
    r = tallied(running(5))
    r.halt()
    r.attest(0, 1, 2)
    r.pass_deadline()
    r.finalise()
    assert r.faults() == []
    assert r.outcome.finalRounds == 1


def test_attesting_another_model_than_the_majority_is_a_fault(running: Any) -> None:
    """Two of five that attested something else stopped all pay, at no cost to themselves."""
    r = tallied(running(5))
    r.attest(0, 1, 2)
    r.attest(3, digest=keccak(text="one"))
    r.attest(4, digest=keccak(text="other"))
    r.finalise()
    assert r.outcome.finalRounds == 0
    assert r.faults() == [3, 4]


def test_without_a_majority_no_attestation_is_a_fault(running: Any) -> None:
    r = tallied(running(4))
    r.attest(0, 1)
    r.attest(2, 3, digest=keccak(text="other"))
    r.finalise()
    assert r.faults() == []


def test_a_hidden_vote_shares_in_no_blind_round(running: Any) -> None:
    """A committed vote that was not opened is a fault, but the round turned blind and paid it."""
    r: Rounds = running(5)
    r.submit(*range(5))
    r.open_slice()
    r.commit(0, 1, 2, blind=True)
    r.commit(3, 4)
    r.reveal(0, 1, 2, 3)
    r.pass_deadline()
    r.tally()
    assert r.facts.blind
    r.attest(*range(5))
    r.finalise()
    assert r.faults() == [4]
    assert sorted(r.points()[:4]) == [2_250 + 125] * 3 + [2_250 + 125 + 500]
    assert r.points()[4] == 0


def test_a_contradiction_shown_after_the_tally_costs_the_points(running: Any) -> None:
    r = tallied(running(5))
    r.attest(0, 1, 2, 3)
    r.contradict(4)
    r.finalise()
    assert r.faults() == [4]
    assert r.points()[4] == 0


def test_attestations_of_contradictors_do_not_hide_the_majority(running: Any) -> None:
    """Three that attested one model and were then voided hid the digest that all others attested:
    the vote for the favourite counted them."""
    r = tallied(running(5))
    r.attest(0, 1)
    r.attest(2, 3, 4, digest=keccak(text="other"))
    for seat in (2, 3, 4):
        r.contradict(seat)
    r.finalise()
    assert r.faults() == [2, 3, 4]
    assert r.outcome.finalRounds == 1
    assert r.points()[2:] == [0, 0, 0]


def test_under_the_unanimous_rule_one_friend_of_the_requester_reads_all_models_unpaid(
    running: Any,
) -> None:
    """A limit: daemons decline such requests unless their policy accepts them."""
    r = tallied(running(5, maxRounds=1, approvalRule=1))
    r.attest(0, 1, 2, 3)
    r.attest(4, digest=keccak(text="other"))
    r.finalise()
    assert (r.facts.phase, r.outcome.finalRounds) == (ENDED, 0)
    assert r.faults() == [4]
    before = r.chain.balance(r.requester)
    settle(r)
    assert r.chain.balance(r.requester) - before == r.terms["pay"]


def test_a_start_that_opens_for_an_accomplice_alone_takes_the_pay(running: Any) -> None:
    """A limit: the starter seals the request's key to one other. The honest three refuse to submit;
    to the chain they are as silent as members that are away."""
    r: Rounds = running(5, maxRounds=1)
    r.submit(0, 1)
    r.pass_deadline()
    r.pass_deadline()
    r.voted(0, 1)
    r.attest(0, 1)
    r.finalise()
    assert r.faults() == [2, 3, 4]
    assert [points > 0 for points in r.points()] == [True, True, False, False, False]
    assert r.outcome.finalRounds == 1


def test_of_two_a_vote_that_the_slice_did_not_open_makes_the_models_equal(running: Any) -> None:
    """A limit of two members: the other's vote calls the rider's model invalid, and one vote alone
    compares nothing."""
    r: Rounds = running(2)
    r.submit(0, 1)
    r.open_slice()
    r.commit(0, scores={1: INVALID})
    r.commit(1, blind=True)
    r.reveal(0, 1)
    r.attest(0, 1)
    r.finalise()
    assert r.faults() == []
    assert r.points() == [4_500 + 250 + 500, 4_500 + 250]


def settle(r: Rounds) -> None:
    call = r.on.market.functions.settle(r.id, tuple(r.terms.values()), r.earned, b"")
    r.sent(r.stranger, "settle", call)
