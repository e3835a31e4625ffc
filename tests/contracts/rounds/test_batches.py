"""One test for each leaf of batches.tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from fedpact.chain.signed_messages import pack_signatures
from tests.contracts.rounds.kit import (
    ATTEST,
    ATTESTATION,
    BLIND_FLAG,
    COMMIT,
    ENDED,
    FAILED,
    FINALISE,
    MODEL,
    REVEAL,
    SLICE_KEY,
    SUBMIT,
    TALLY,
    VOID_START,
    VOTE,
    WAITING,
    WINDOW,
    Rounds,
)
from tests.support.chainkit import events


@pytest.fixture
def r(running: Any) -> Rounds:
    made: Rounds = running(3)
    return made


# -- submit ------------------------------------------------------------------------------------


def test_submissions_are_checked(r: Rounds, expect_revert: Any) -> None:
    one, other = r.seats[:2]
    with expect_revert("TrainingRounds_BadMask", r.id, 0, 7):
        r.send(one, "submit", 0, [], b"")
    with expect_revert("TrainingRounds_BadMask", r.id, 8, 7):
        r.send(one, "submit", 8, [r.digest(0)], b"")
    with expect_revert("TrainingRounds_Zero"):
        r.send(one, "submit", 1, [bytes(32)], b"")
    with expect_revert("TrainingRounds_WrongNumber", 2, 1):
        r.send(one, "submit", 1, [r.digest(0)] * 2, b"")
    with expect_revert("SeatSignatures_Short"):
        r.send(other, "submit", 1, [r.digest(0)], b"")
    r.submit(0)
    with expect_revert("TrainingRounds_BadMask", r.id, 1, 6):
        r.submit(0)


def test_all_submissions_open_the_commitments(r: Rounds, expect_revert: Any) -> None:
    r.submit(2)
    r.submit(0, 1, sender=r.stranger)
    r.expect_phase(COMMIT)
    with expect_revert("TrainingRounds_WrongPhase", r.id, COMMIT, SUBMIT):
        r.submit(0)


def test_each_model_is_added_to_the_log(r: Rounds) -> None:
    r.batched_round(0, 1, 2)
    log = bytes(32)
    for seat in (2, 0, 1):
        r.submit(seat)
        log = keccak(encode(["bytes32", "uint256", "bytes32"], [log, seat, r.digest(seat)]))
        assert r.facts.log == log


def test_a_majority_goes_on_without_the_silent(r: Rounds) -> None:
    r.submit(0, 1)
    r.pass_deadline()
    r.expect_phase(COMMIT)
    r.voted(0, 1)
    r.attest(0, 1)
    r.finalise()
    assert r.faults() == [2]
    assert r.facts.expected == 0b011


def test_a_minority_waits_once_more(running: Any) -> None:
    r: Rounds = running(5)
    r.submit(0, 1)
    r.pass_deadline()
    assert r.facts.phase == SUBMIT
    assert r.facts.reopened
    r.submit(4)
    r.pass_deadline()
    r.expect_phase(COMMIT)
    r.voted(0, 1, 4)
    r.attest(0, 1, 4)
    r.finalise()
    assert r.faults() == [2, 3]
    assert sum(r.points()) > 9_900


def test_half_of_them_wait_once_more(running: Any) -> None:
    r: Rounds = running(4)
    r.submit(1, 2)
    r.pass_deadline()
    assert (r.facts.phase, r.facts.reopened) == (SUBMIT, True)


def test_one_submission_is_not_a_round(r: Rounds) -> None:
    r.submit(1)
    r.pass_deadline()
    r.expect_phase(FAILED)


# -- slice -------------------------------------------------------------------------------------


def test_openers_open_the_slice(running: Any, accounts: Any, expect_revert: Any) -> None:
    opener, thief = accounts[20], accounts[21]
    r: Rounds = running(3, openers=[opener.address])
    r.submit(0, 1, 2)
    with expect_revert("TrainingRounds_NotOpener", r.id, thief.address):
        r.open_slice(thief)
    with expect_revert("TrainingRounds_NotOpener"):
        args = ([thief.address], thief.address, SLICE_KEY, b"")
        r.send(thief, "openSlice", *args)
    with expect_revert("TrainingRounds_SliceNotOpen", r.id, 1):
        r.commit(0)
    with expect_revert("SeatSignatures_Short"):
        r.open_slice(thief, opener)
    message = r.domain.slice(r.id, 1, SLICE_KEY)
    r.open_slice(thief, opener, pack_signatures([bytes(opener.sign_message(message).signature)]))
    with expect_revert("TrainingRounds_SliceAlreadyOpen", r.id, 1):
        r.open_slice()
    r.commit(0)


def test_anyone_is_no_opener_of_the_address_0(
    running: Any, accounts: Any, expect_revert: Any
) -> None:
    nobody = "0x" + "00" * 20
    r: Rounds = running(3, openers=[nobody])
    r.submit(0, 1, 2)
    with expect_revert("TrainingRounds_NotOpener"):
        r.send(accounts[21], "openSlice", [nobody], nobody, SLICE_KEY, b"\x11" * 32 + b"\xff" * 32)


def test_a_late_slice_is_refused(r: Rounds, expect_revert: Any) -> None:
    r.submit(0, 1, 2)
    r.chain.next_at(r.facts.deadline - WINDOW // 2 + 1)
    with expect_revert("TrainingRounds_WrongPhase", r.id, TALLY, COMMIT):
        r.open_slice()


# -- votes -------------------------------------------------------------------------------------


def test_nothing_is_revealed_before_all_have_committed(r: Rounds, expect_revert: Any) -> None:
    r.submit(0, 1, 2)
    r.open_slice()
    r.commit(0, 1)
    with expect_revert("TrainingRounds_WrongPhase", r.id, COMMIT, REVEAL):
        r.reveal(0)
    with expect_revert("TrainingRounds_BadMask", r.id, 1, 4):
        r.commit(0)
    r.commit(2)
    r.expect_phase(REVEAL)


def test_reveals_open_what_was_anchored(r: Rounds, expect_revert: Any) -> None:
    r.submit(0, 1, 2)
    r.open_slice()
    r.commit(1, 2)
    r.commit(0)
    order = list(r.committed)
    r.committed = order[::-1]
    with expect_revert("TrainingRounds_WrongList"):
        r.reveal(0)
    r.committed = order[:2]
    with expect_revert("TrainingRounds_WrongNumber", 2, 3):
        r.reveal(0)
    r.committed = order
    r.votes[0] += 1 << 14
    with expect_revert("TrainingRounds_CommitmentMismatch"):
        r.reveal(0)
    r.votes[0] -= 1 << 14
    r.reveal(2)
    assert r.facts.revealed == 0b100
    with expect_revert("TrainingRounds_WrongPhase"):
        r.tally()
    first = list(r.opened)
    r.opened = [(seat, vote + 1) for seat, vote in first]
    with expect_revert("TrainingRounds_WrongList"):
        r.reveal(0, 1)
    r.opened = first
    r.reveal(0, 1)
    r.expect_phase(ATTEST)
    assert r.board is not None
    assert r.board.eligible == 0b111


def test_the_last_vote_tallies_whoever_opens_it(running: Any) -> None:
    """In one call or in three, what is tallied is the same."""
    boards = []
    for parts in ([(0, 1, 2)], [(2,), (0,), (1,)]):
        r: Rounds = running(3)
        r.submit(0, 1, 2)
        r.open_slice()
        r.commit(0, 1, 2)
        for part in parts:
            r.expect_phase(REVEAL)
            r.reveal(*part)
        r.expect_phase(ATTEST)
        boards.append(r.board)
    assert boards[0] == boards[1]


def test_an_unopened_vote_earns_nothing(r: Rounds, expect_revert: Any) -> None:
    r.submit(0, 1, 2)
    r.open_slice()
    r.commit(0, 1, 2)
    r.reveal(0, 1)
    r.pass_deadline()
    r.opened.reverse()
    with expect_revert("TrainingRounds_WrongList"):
        r.tally()
    r.opened.reverse()
    with expect_revert("TrainingRounds_WrongNumber", 4, 5):
        r.send(r.stranger, "tally", replace(r.anchored, votes=r.anchored.votes[1:]).fields)
    with expect_revert("TrainingRounds_WrongList"):
        r.send(r.stranger, "tally", replace(r.anchored, log=bytes(32)).fields)
    r.tally()
    r.attest(0, 1)
    r.finalise()
    assert r.points()[2] == 0
    assert r.faults() == [2]


# -- tally -------------------------------------------------------------------------------------


def test_a_missing_slice_makes_the_round_blind(r: Rounds) -> None:
    r.submit(0, 1, 2)
    r.chain.mine_at(r.facts.deadline - WINDOW // 2 + 1)
    r.tally()
    r.attest(0, 1, 2)
    r.finalise()
    assert sorted(r.points()) == [3_166, 3_166, 3_666]
    assert r.earned[-1][2] & BLIND_FLAG
    assert r.outcome.finalRounds == 1


def test_a_slice_that_opens_for_most_nowhere_makes_the_round_blind(r: Rounds) -> None:
    r.submit(0, 1, 2)
    r.open_slice()
    r.commit(0, 1, blind=True)
    r.commit(2)
    r.reveal(0, 1, 2)
    assert r.board is not None
    assert r.facts.blind
    assert r.board.points == sum(3_000 << (16 * seat) for seat in range(3))


def test_a_minority_of_blind_votes_is_no_vote(running: Any) -> None:
    r: Rounds = running(4)
    r.submit(0, 1, 2, 3)
    r.open_slice()
    r.commit(0, 1, 2)
    r.commit(3, blind=True)
    r.reveal(0, 1, 2, 3)
    r.attest(0, 1, 2, 3)
    r.finalise()
    assert r.faults() == []
    assert not r.earned[-1][2] & BLIND_FLAG
    # A quarter of the quality, nothing for votes, 125 for attesting.
    assert 1_900 < r.points()[3] < 2_200


def test_models_above_the_ceiling_are_all_included(r: Rounds) -> None:
    r.submit(0, 1, 2)
    r.voted(0, 1, 2, scores={0: 9_100, 1: 9_200, 2: 9_300})
    assert r.board is not None
    assert r.board.included == 0b111
    assert r.board.points == sum((2_666 + 333) << (16 * seat) for seat in range(3))


def test_a_single_vote_is_paid_and_judges_nobody(r: Rounds) -> None:
    r.submit(0, 1, 2)
    r.open_slice()
    r.commit(1)
    r.pass_deadline()
    r.reveal(1)
    assert r.points() == [0, 9_000, 0]
    r.expect_phase(ENDED)


def test_a_round_without_votes_pays_nobody(r: Rounds) -> None:
    r.submit(0, 1, 2)
    r.open_slice()
    r.pass_deadline()
    r.tally()
    assert r.points() == [0, 0, 0]
    assert r.outcome.paidRounds == 0
    r.expect_phase(ENDED)


# -- attestations ------------------------------------------------------------------------------


def test_the_best_that_attested_leads_and_the_silent_are_at_fault(
    running: Any, expect_revert: Any
) -> None:
    r: Rounds = running(4)
    r.submit(0, 1, 2, 3)
    r.voted(0, 1, 2, 3)
    r.attest(1, 2, 3)
    with expect_revert("TrainingRounds_BadMask"):
        r.attest(1)
    with expect_revert("TrainingRounds_WrongPhase", r.id, ATTEST, FINALISE):
        r.finalise()
    r.pass_deadline()
    board = r.board
    assert board is not None
    r.attestations.reverse()
    with expect_revert("TrainingRounds_WrongList"):
        r.finalise()
    r.attestations.reverse()
    r.board = replace(board, points=board.points + 1)
    with expect_revert("TrainingRounds_WrongList"):
        r.finalise()
    r.board, before = board, r.tallied_log
    r.tallied_log = bytes(32)
    with expect_revert("TrainingRounds_WrongList"):
        r.finalise()
    r.tallied_log = before
    r.finalise()
    earned = [
        own - before for own, before in zip(r.points(), _points(board.points, 4), strict=True)
    ]
    assert earned == [0, 166 + 500, 166, 166]
    assert r.faults() == [0]


def test_most_decide_whoever_attests_first(running: Any) -> None:
    r: Rounds = running(4)
    r.submit(0, 1, 2, 3)
    r.voted(0, 1, 2, 3)
    r.attest(0, digest=b"\x07" * 32)
    r.attest(1, 2, 3)
    r.finalise()
    assert r.outcome.finalRounds == 1
    assert r.faults() == [0]


def test_a_batch_is_refunded(running: Any) -> None:
    r: Rounds = running(3, gasPerRound=10**15)
    message = [r.domain.model(r.id, 1, r.digest(seat)) for seat in range(3)]
    packed = pack_signatures(
        bytes(m.sign_message(one).signature) for m, one in zip(r.seats, message, strict=True)
    )
    digests = [r.digest(seat) for seat in range(3)]
    call = r.on.rounds.functions.submit(r.id, 0b111, digests, packed)
    paid = {"from": r.stranger.address, "gas": 10**7, "gasPrice": 10**9}
    receipt = r.chain.w3.eth.wait_for_transaction_receipt(call.transact(paid))
    (entry,) = events(r.on.rounds, "Credited", receipt)
    assert (entry["cohort"], entry["points"], entry["digest"]) == (0, 0, bytes(32))
    assert entry["extra"] >> 96 == int(r.stranger.address, 16)
    assert 0.85 * receipt["gasUsed"] < entry["extra"] >> 32 & 2**64 - 1 <= 1.1 * receipt["gasUsed"]


def test_a_small_batch_of_a_later_round_is_refunded_a_quarter_more_at_most(running: Any) -> None:
    """A limit: what follows the measurement is counted as in a round's end, at 30,000 gas."""
    r: Rounds = running(3, gasPerRound=10**15, maxRounds=2)
    r.submit(0, 1)
    r.pass_deadline()
    r.voted(0, 1)
    r.attest(0, 1)
    r.finalise()
    digests = [r.digest(seat) for seat in (0, 1)]
    packed = pack_signatures(
        bytes(m.sign_message(r.domain.model(r.id, 2, one)).signature)
        for m, one in zip(r.seats, digests, strict=False)
    )
    call = r.on.rounds.functions.submit(r.id, 0b11, digests, packed)
    paid = {"from": r.stranger.address, "gas": 10**7, "gasPrice": 10**9}
    receipt = r.chain.w3.eth.wait_for_transaction_receipt(call.transact(paid))
    (entry,) = events(r.on.rounds, "Credited", receipt)
    refund = entry["extra"] >> 32 & 2**64 - 1
    assert receipt["gasUsed"] < refund <= 1.25 * receipt["gasUsed"]


def test_the_missing_attestations_come_with_the_end(running: Any, expect_revert: Any) -> None:
    r: Rounds = running(4)
    r.submit(0, 1, 2, 3)
    r.voted(0, 1, 2, 3)
    r.attest(2)
    with expect_revert("TrainingRounds_BadMask"):
        r.finalise(2, 3)
    with expect_revert("TrainingRounds_WrongPhase", r.id, ATTEST, FINALISE):
        r.finalise(0, 3)
    with expect_revert("TrainingRounds_Zero"):
        r.finalise(0, 1, 3, digest=bytes(32))
    with expect_revert("TrainingRounds_BadError"):
        r.finalise(0, 1, 3, error=10_001)
    r.finalise(0, 1, 3, error=1_100)
    assert r.facts.round == 2
    assert r.faults() == []
    assert sum(r.points()) > 9_900


def test_after_the_window_nobody_attests_with_the_end(r: Rounds, expect_revert: Any) -> None:
    r.submit(0, 1, 2)
    r.voted(0, 1, 2)
    r.attest(0, 1)
    r.pass_deadline()
    with expect_revert("TrainingRounds_WrongPhase", r.id, FINALISE, ATTEST):
        r.finalise(2)
    r.finalise()
    assert r.faults() == [2]


def _points(word: int, seats: int) -> list[int]:
    return [(word >> (16 * seat)) & 0xFFFF for seat in range(seats)]


def test_without_a_quorum_a_small_pool_ends(r: Rounds) -> None:
    r.submit(0, 1, 2)
    r.voted(0, 1, 2)
    r.attest(0, digest=keccak(text="one"))
    r.attest(1, digest=keccak(text="other"))
    r.attest(2, digest=keccak(text="third"))
    r.finalise()
    assert (r.outcome.ended, r.outcome.finalRounds, r.outcome.paidRounds) == (True, 0, 1)
    assert sum(r.points()) > 8_900


def test_without_a_quorum_a_larger_pool_draws_again(running: Any) -> None:
    r: Rounds = running(8, cohort=3)
    r.submit(0, 1, 2)
    r.voted(0, 1, 2)
    r.pass_deadline()
    r.pass_deadline()
    before = r.facts.seed
    r.finalise()
    assert (r.facts.round, r.facts.phase) == (2, SUBMIT)
    assert r.facts.seed != before
    r.post()
    assert (r.outcome.finalRounds, r.outcome.paidRounds) == (1, 2)


# -- failed rounds -----------------------------------------------------------------------------


def test_a_void_start_is_the_starters_fault(r: Rounds, expect_revert: Any) -> None:
    r.submit(1)
    r.pass_deadline()
    r.close()
    assert r.earned[-1][:3] == (0, 0, 1 | VOID_START)
    assert (r.facts.phase, r.facts.turn) == (WAITING, 1)
    with expect_revert("TrainingRounds_NotYourTurn", r.id, 0, 0):
        r.start(0)
    r.start(1)
    r.post()
    assert sum(r.points()) > 9_900


def test_void_starts_end_with_the_members(running: Any) -> None:
    r: Rounds = running(2)
    for index in (0, 1):
        r.pass_deadline()
        r.close()
        if index == 0:
            r.start(1)
    r.chain.travel(1)
    r.send(r.stranger, "expire")
    assert r.outcome.ended
    assert len(r.earned) == 2


def test_later_the_silent_are_at_fault(r: Rounds) -> None:
    r.post()
    r.submit(1)
    r.pass_deadline()
    r.close()
    assert r.faults() == [0, 2]
    assert r.outcome.ended
    assert r.outcome.finalRounds == 1


# -- equivocation ------------------------------------------------------------------------------


def _pair(r: Rounds, seat: int, kind: int) -> tuple[list[bytes], bytes]:
    a, b = keccak(text="a"), keccak(text="b")
    if kind == ATTESTATION:
        bodies = [encode(["bytes32", "uint16"], [a, 5]), encode(["bytes32", "uint16"], [a, 6])]
        messages = [r.domain.attest(r.id, r.facts.round, a, error) for error in (5, 6)]
    else:
        bodies = [a, b]
        make = r.domain.model if kind == MODEL else r.domain.vote
        messages = [make(r.id, r.facts.round, digest) for digest in (a, b)]
    account = r.seats[seat]
    return bodies, pack_signatures(bytes(account.sign_message(m).signature) for m in messages)


@pytest.mark.parametrize("kind", [MODEL, VOTE, ATTESTATION])
def test_two_messages_of_a_kind_void_a_seat(running: Any, kind: int) -> None:
    r: Rounds = running(4)
    r.submit(0, 1, 2, 3)
    bodies, signatures = _pair(r, 3, kind)
    r.send(r.stranger, "reportEquivocation", 3, kind, *bodies, signatures)
    assert r.facts.voided == 0b1000
    r.open_slice()
    r.commit(0, 1, 2)
    r.expect_phase(REVEAL)
    r.reveal(0, 1, 2)
    r.attest(0, 1, 2)
    r.finalise()
    assert r.points()[3] == 0
    assert r.faults() == [3]
    assert r.facts.expected == 0b0111


def test_a_report_needs_two_signed_messages(r: Rounds, expect_revert: Any) -> None:
    bodies, signatures = _pair(r, 1, MODEL)
    with expect_revert("TrainingRounds_SameMessage"):
        args = (1, MODEL, bodies[0], bodies[0], signatures)
        r.send(r.stranger, "reportEquivocation", *args)
    with expect_revert("SeatSignatures_NotSigned"):
        r.send(r.stranger, "reportEquivocation", 2, MODEL, *bodies, signatures)
    with expect_revert("SeatSignatures_NotSigned"):
        r.send(r.stranger, "reportEquivocation", 1, VOTE, *bodies, signatures)
    with expect_revert("TrainingRounds_NoSeat"):
        r.send(r.seats[1], "reportEquivocation", 1, MODEL, *bodies, signatures)


# -- return ------------------------------------------------------------------------------------


def test_a_dropped_member_returns(r: Rounds, expect_revert: Any) -> None:
    r.submit(0, 1)
    r.pass_deadline()
    r.post((0, 1))
    assert r.facts.expected == 0b011
    with expect_revert("TrainingRounds_NoSeat"):
        r.send(r.seats[1], "returnTo", 2)
    r.send(r.seats[2], "returnTo", 2)
    r.post((0, 1))
    assert r.facts.expected == 0b111
    with expect_revert("TrainingRounds_AlreadyReturned", r.id, 2):
        r.send(r.seats[2], "returnTo", 2)
    r.post((0, 1, 2))


def test_a_dropped_member_comes_back_by_submitting(r: Rounds) -> None:
    r.submit(0, 1)
    r.pass_deadline()
    r.post((0, 1))
    r.submit(2)
    assert r.facts.expected == 0b111


# -- several steps at once ---------------------------------------------------------------------


def test_steps_share_a_transaction(r: Rounds) -> None:
    """The sender's seat needs no signature in any of them."""
    r.submit(0, 1, 2)
    opener = r.requester.sign_message(r.domain.slice(r.id, 1, SLICE_KEY)).signature
    opening = [r.id, [], r.requester.address, SLICE_KEY, pack_signatures([bytes(opener)])]
    r.votes = {1: r.vote(1, range(3))}
    calls = [
        r.on.rounds.encode_abi("openSlice", opening),
        r.on.rounds.encode_abi("commitVotes", [r.id, 0b010, [r.commitment(1)], b""]),
    ]
    r.sent(r.seats[1], "multicall", r.on.rounds.functions.multicall(calls))
    assert (r.facts.sliceOpened, r.facts.acted) == (True, 0b010)
