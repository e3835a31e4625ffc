"""One test for each leaf of postRound.tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedpact.chain.signed_messages import RoundRecord, history_after_round, pack_signatures
from tests.contracts.rounds.kit import (
    ENDED,
    FAILED,
    INVALID,
    PAID,
    START,
    SUBMIT,
    Rounds,
    pack,
)
from tests.support.chainkit import events
from tests.support.relay import RELAY, relay_code


@pytest.fixture
def r(running: Any) -> Rounds:
    made: Rounds = running(3)
    return made


# Quality by 8,000 : 7,900 : 7,800 of 8,000; votes 333; attesting 166; leading 500.
POINTS = [2700 + 333 + 166 + 500, 2666 + 333 + 166, 2632 + 333 + 166]


def test_all_agree(r: Rounds) -> None:
    before, record = r.facts.history, r.record((0, 1, 2))
    r.post(record=record)
    assert r.points() == POINTS
    assert r.earned[-1][2:] == (PAID, record.digest)
    assert (r.facts.round, r.facts.phase) == (2, SUBMIT)
    link = (1, bytes(32), record.hash)
    assert r.facts.history == history_after_round(before, *link)
    verify = r.on.rounds.functions.verifyHistory
    assert verify(r.id, r.terms_hash, [START], [link]).call()
    assert not verify(r.id, r.terms_hash, [START], []).call()


def test_no_model_that_counts_fails_the_round_both_ways(running: Any) -> None:
    worthless = dict.fromkeys(range(3), INVALID)
    posted: Rounds = running(3, gasPerRound=10**15)
    receipt = paid_post(posted, posted.record((0, 1, 2), scores=worthless, errors=0))
    assert events(posted.on.rounds, "RoundFailed", receipt)
    assert refunded(posted, receipt)[1] > 0
    assert not posted.outcome.reached
    batched: Rounds = running(3)
    batched.submit(0, 1, 2)
    batched.voted(0, 1, 2, scores=worthless)
    for r in (posted, batched):
        assert (r.facts.phase, r.outcome.finalRounds) == (ENDED, 0)
    assert posted.points() == batched.points() == [0, 0, 0]
    assert posted.faults() == batched.faults()
    assert posted.earned[-1][-1] == batched.earned[-1][-1] == bytes(32)


def test_a_contract_hides_no_record(r: Rounds) -> None:
    record, seats = r.record((0, 1, 2)), r.seats
    message = r.domain.round(r.id, r.facts.round, r.facts.history, record)
    signed = pack_signatures(
        bytes(seats[seat].sign_message(message).signature) for seat in range(3)
    )
    call = r.on.rounds.encode_abi("postRound", [r.id, record.fields, signed])
    r.chain.rpc("anvil_setCode", RELAY, relay_code(r.on.rounds.address))
    sent = {"from": r.stranger.address, "to": RELAY, "data": "0x00" + call.removeprefix("0x")}
    receipt = r.chain.w3.eth.wait_for_transaction_receipt(r.chain.w3.eth.send_transaction(sent))
    [event] = events(r.on.rounds, "RecordPosted", receipt)
    assert (event["request"], event["round"]) == (r.id, 1)
    assert tuple(event["record"].values()) == record.fields


def test_the_transaction_shows_an_accounts_record(r: Rounds) -> None:
    assert not events(r.on.rounds, "RecordPosted", r.post())


def test_both_ways_pay_the_same(running: Any) -> None:
    r: Rounds = running(3)
    r.batched_round(0, 1, 2)
    assert r.points() == POINTS


def test_the_last_round_ends_the_request(r: Rounds, expect_revert: Any) -> None:
    for _ in range(4):
        r.post()
    assert r.facts.phase == ENDED
    assert (r.outcome.finalRounds, r.outcome.paidRounds, r.outcome.reached) == (4, 4, False)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.post((0, 1, 2))


def test_the_target_needs_a_quorum_within_it(r: Rounds) -> None:
    r.post(errors={0: 100, 1: 501, 2: 100})
    assert r.outcome.reached
    assert r.facts.phase == ENDED


def test_the_median_alone_does_not_meet_the_target(running: Any) -> None:
    r: Rounds = running(4)
    r.post(errors={0: 0, 1: 0, 2: 900, 3: 900})
    assert not r.outcome.reached


def test_everybody_must_have_signed(r: Rounds, expect_revert: Any) -> None:
    facts, record = r.facts, r.record((0, 1, 2))
    with expect_revert("SeatSignatures_NotSigned", r.seats[1].address, 0):
        r.post(record=record, signers=[r.seats[0], r.seats[2], r.seats[2]])
    with expect_revert("SeatSignatures_Short"):
        r.post(record=record, signers=[r.seats[0], r.seats[1]])
    with expect_revert("TrainingRounds_WrongNumber", 2, 3):
        r.post((0, 1))
    r.post(record=record)
    # The same words, signed for round 1.
    signature = r.seats[1].sign_message(r.domain.round(r.id, 1, facts.history, record)).signature
    assert signature
    with expect_revert("SeatSignatures_NotSigned"):
        r.post(record=record, signers=[r.seats[0], r.members[2], r.members[1]])


def test_bad_records_are_refused(r: Rounds, expect_revert: Any) -> None:
    good = r.record((0, 1, 2))
    with expect_revert("TrainingRounds_Zero"):
        r.post(record=replace(good, digest=bytes(32)))
    own = replace(good, votes=(pack({0: 5, 1: 5, 2: 5}), *good.votes[1:]))
    with expect_revert("TrainingRounds_BadScore", 0, 0, 5):
        r.post(record=own)
    blind = replace(good, votes=(1 << 255, *good.votes[1:]))
    with expect_revert("TrainingRounds_BadScore"):
        r.post(record=blind)
    with expect_revert("TrainingRounds_BadError", 1, 10_001):
        r.post(record=replace(good, errors=pack({0: 1, 1: 10_001, 2: 1})))
    r.post(record=replace(good, errors=pack({0: 1, 1: 10_000, 2: 1})))
    assert r.outcome.finalRounds == 1


def test_after_the_submissions_the_silent_are_left_out(r: Rounds) -> None:
    r.submit(0, 1)
    r.pass_deadline()
    r.post((0, 1))
    assert r.faults() == [2]
    assert r.facts.expected == 0b011


def test_a_failed_round_may_still_be_posted_by_all(r: Rounds) -> None:
    r.pass_deadline()
    assert r.facts.phase == FAILED
    r.post((0, 1, 2))
    assert r.points() == POINTS


def test_a_voter_outside_the_band_earns_nothing(running: Any) -> None:
    r: Rounds = running(4)
    record = r.record((0, 1, 2, 3))
    lie = pack({0: 9_000, 1: 9_000, 2: 9_000})
    r.post(record=replace(record, votes=(*record.votes[:3], lie)))
    assert r.points()[3] == 0
    assert r.faults() == [3]


def test_the_poster_is_refunded_up_to_the_cap(running: Any) -> None:
    r: Rounds = running(3, gasPerRound=10**15)
    receipt = paid_post(r, r.record((0, 1, 2)))
    poster, refund = refunded(r, receipt)
    assert poster == int(r.stranger.address, 16)
    assert 0.85 * receipt["gasUsed"] < refund <= 1.1 * receipt["gasUsed"]


def test_more_seats_are_refunded_as_well(running: Any) -> None:
    """The calldata of each: with three seats more, the refund falls behind the gas by little."""
    over = []
    for seats in (3, 6):
        r: Rounds = running(seats, gasPerRound=10**15)
        receipt = paid_post(r, r.record(range(seats)))
        over.append(refunded(r, receipt)[1] - receipt["gasUsed"])
    assert over[1] - over[0] > -3_000


def test_a_round_posted_after_a_cancellation_is_the_last(r: Rounds) -> None:
    r.halt()
    r.post((0, 1, 2))
    assert (r.facts.phase, r.outcome.halted, r.outcome.paidRounds) == (ENDED, True, 1)


def paid_post(r: Rounds, record: RoundRecord) -> Any:
    """A round that three sign, posted by a stranger that pays for its gas."""
    facts = r.facts
    message = r.domain.round(r.id, facts.round, facts.history, record)
    packed = pack_signatures(bytes(m.sign_message(message).signature) for m in r.seats)
    transaction = r.on.rounds.functions.postRound(r.id, record.fields, packed).transact(
        {"from": r.stranger.address, "gas": 10**7, "gasPrice": 10**9}
    )
    receipt = r.chain.w3.eth.wait_for_transaction_receipt(transaction)
    r.note(receipt)
    return receipt


def refunded(r: Rounds, receipt: Any) -> tuple[int, int]:
    """Who is refunded, and how much gas."""
    (entry,) = events(r.on.rounds, "Credited", receipt)
    return entry["extra"] >> 96, entry["extra"] >> 32 & 2**64 - 1
