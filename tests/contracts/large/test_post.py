"""One test for each leaf of post.tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_utils import keccak

from fedpact.chain.signed_messages import history_after_round
from fedpact.consensus.draw import next_seed
from fedpact.consensus.large_rounds import Inclusion, SubmissionTree
from tests.contracts.large.kit import DRAW_DELAY, LargeRounds
from tests.contracts.rounds.kit import (
    ATTEST,
    BLIND_FLAG,
    ENDED,
    FINALISE,
    PAID,
    SUBMIT,
    WINDOW,
)
from tests.contracts.rounds.kit import pack as pack_errors
from tests.support.chainkit import events
from tests.support.relay import RELAY, relay_code


@pytest.fixture
def r(running: Any) -> LargeRounds:
    made: LargeRounds = running()
    return made


# -- refused ---------------------------------------------------------------------------------------


def test_a_round_is_posted_between_its_submissions_and_the_end_of_judging(
    r: LargeRounds, expect_revert: Any
) -> None:
    submissions = r.facts.deadline
    r.chain.next_at(submissions)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.post_large(early=True)
    r.chain.mine_at(submissions + 1)
    assert (r.facts.phase, r.facts.deadline) == (ATTEST, submissions + 3 * WINDOW)
    r.chain.next_at(r.facts.deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.post_large(early=True)


def test_a_round_is_posted_in_the_last_second(r: LargeRounds) -> None:
    r.chain.next_at(r.facts.deadline + 3 * WINDOW)
    r.post_large(early=True)
    assert r.facts.round == 2


@pytest.mark.parametrize("missing", ["submissions", "evidence"])
def test_a_record_names_its_models_and_its_evidence(
    r: LargeRounds, expect_revert: Any, missing: str
) -> None:
    with expect_revert("TrainingRounds_Zero"):
        r.post_large(replace(r.large_record(), **{missing: bytes(32)}))


def test_no_round_is_final_that_leaves_out_a_forced_model(
    r: LargeRounds, expect_revert: Any
) -> None:
    first, second, third = r.trainers[:3]
    r.force(first)
    r.force(second)
    whole = r.models()
    without = {index: digest for index, digest in whole.items() if index != second}
    other = {**whole, second: b"\x07" * 32}
    for inclusion in (
        Inclusion(),
        SubmissionTree(whole).inclusion([first]),
        SubmissionTree(whole).inclusion([first, third]),
        SubmissionTree(whole).inclusion([first, second, third]),
        replace(SubmissionTree(whole).inclusion([first, second]), indices=(first, first + 2**16)),
    ):
        with expect_revert("LargeRounds_LeftOut", r.id, 1):
            r.post_large(forced=inclusion)
    for models in (without, other):
        with expect_revert("LargeRounds_LeftOut", r.id, 1):
            r.post_large(
                r.large_record(models=models),
                forced=SubmissionTree(whole).inclusion([first, second]),
            )
    r.post_large()
    assert r.facts.round == 2


def test_an_inner_node_is_no_model(r: LargeRounds, expect_revert: Any) -> None:
    """A node above the words `index` and `digest` hashes the same 64 bytes as a model."""
    index, digest = r.trainers[0], b"\x99" * 32
    r.force(index, digest)
    node = keccak(index.to_bytes(32, "big") + digest)
    with expect_revert("LargeRounds_LeftOut", r.id, 1):
        r.post_large(r.large_record(submissions=node), forced=Inclusion((index,)))
    r.post_large(r.large_record(submissions=keccak(node)), forced=Inclusion((index,)))
    assert r.facts.round == 2


def test_those_that_forced_come_in_order(r: LargeRounds, expect_revert: Any) -> None:
    first, second = r.trainers[:2]
    r.force(first)
    r.force(second)
    right = r.inclusion()
    with expect_revert("LargeRounds_NotSorted", first, second):
        r.post_large(forced=replace(right, indices=(second, first)))
    with expect_revert("LargeRounds_NotSorted", first, first):
        r.post_large(forced=replace(right, indices=(first, first)))


@pytest.mark.parametrize(
    ("members", "cohort", "quorum"), [(6, 2, 2), (6, 3, 2), (8, 4, 3), (9, 5, 4)]
)
def test_a_quorum_of_the_committee_signs(
    running: Any, expect_revert: Any, members: int, cohort: int, quorum: int
) -> None:
    r: LargeRounds = running(members, cohort=cohort, minPool=cohort + 1)
    with expect_revert("LargeRounds_NoQuorum", quorum - 1, quorum):
        r.post_large(seats=range(cohort - quorum + 1, cohort))
    r.post_large(seats=range(cohort - quorum, cohort))
    assert r.facts.round == 2


def test_there_are_no_seats_beyond_the_committee(r: LargeRounds, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_BadMask", r.id, 0b1011, 0b111):
        r.post_large(seats=(0, 1, 3), signers=[*r.seats[:2], r.stranger])


def test_each_seat_signs_for_itself(r: LargeRounds, expect_revert: Any) -> None:
    seats = r.seats
    with expect_revert("SeatSignatures_NotSigned", seats[1].address, 1):
        r.post_large(signers=[seats[0], seats[0], seats[2]])
    trainer = r.members[r.trainers[0]]
    with expect_revert("SeatSignatures_NotSigned", seats[2].address, 2):
        r.post_large(signers=[seats[0], seats[1], trainer])


@pytest.mark.parametrize(
    "changes",
    [
        {"submissions": b"\x07" * 32},
        {"evidence": b"\x07" * 32},
        {"digest": b"\x07" * 32},
        {"errors": 0},
        {"blind": True},
        {"points": (0,)},
    ],
)
def test_no_other_record_than_was_signed(
    r: LargeRounds, expect_revert: Any, changes: dict[str, Any]
) -> None:
    args = r.post_large(send=False)
    other = replace(r.large_record(), **changes)
    r.chain.next_at(r.facts.deadline + 1)
    with expect_revert("SeatSignatures_NotSigned"):
        r.send(r.stranger, "post", other.fields, list(other.points), *args[2:])


def test_no_signature_counts_in_another_history_or_round(
    r: LargeRounds, expect_revert: Any
) -> None:
    with expect_revert("SeatSignatures_NotSigned"):
        r.post_large(history=keccak(b"another"))
    record, history = r.large_record(), r.facts.history
    r.post_large(record)
    with expect_revert("SeatSignatures_NotSigned"):
        r.post_large(record, history=history)


def test_points_keep_their_bounds(r: LargeRounds, expect_revert: Any) -> None:
    """Each bound: libraries/test_pool_points.py."""
    record = r.large_record()
    with expect_revert("PoolPoints_WrongLength", 2, 12):
        r.post_large(replace(record, points=(*record.points, 0)))
    with expect_revert("PoolPoints_TooMany", 0):
        r.post_large(replace(record, points=(1_001,)))


def test_no_model_is_final_in_a_round_that_pays_nobody(r: LargeRounds, expect_revert: Any) -> None:
    with expect_revert("LargeRounds_Unpaid", r.id, 1):
        r.post_large(r.large_record(points=[0] * 12, digest=r.global_digest))


def test_a_committee_cannot_pay_itself_more_than_a_tenth(
    r: LargeRounds, expect_revert: Any
) -> None:
    with expect_revert("PoolPoints_TooManyInAll", 11, 10):
        r.post_large(_of(r, trainer=98, judge=11))
    r.post_large(_of(r, trainer=99, judge=11))
    assert r.outcome.paidRounds == 1


def test_a_quorum_that_meets_the_target_does_not_keep_the_pay(
    running: Any, expect_revert: Any
) -> None:
    """Two of three judges measure errors of 0: without points for the trainers nothing ends."""
    r: LargeRounds = running(target=1_000)
    record = replace(_of(r, trainer=0, judge=40), errors=0)
    with expect_revert("PoolPoints_TooManyInAll", 40, 4):
        r.post_large(record, (0, 1))
    assert r.outcome.reached is False


def _of(r: LargeRounds, trainer: int, judge: int) -> Any:
    """A record with these points of one trainer and one judge."""
    points = trainer << 16 * r.trainers[0] | judge << 16 * r.judges[1]
    return replace(r.large_record(), points=(points,))


# -- taken -----------------------------------------------------------------------------------------


def test_a_quorum_closes_a_round(r: LargeRounds) -> None:
    before, seed, record = r.facts.history, r.seed, r.large_record()
    receipt = r.post_large(record)
    facts, block = r.facts, r.chain.w3.eth.block_number
    points = keccak(record.points[0].to_bytes(32, "big"))
    assert (facts.phase, facts.round, facts.finalRounds, facts.paidRounds) == (SUBMIT, 2, 1, 1)
    assert facts.deadline == r.chain.now + WINDOW
    assert facts.history == history_after_round(before, 1, points, record.hash)
    assert facts.points == keccak(bytes(32) + points)
    assert (facts.seed, facts.drawBlock) == (seed, block + DRAW_DELAY)
    assert r.seed == next_seed(seed, int(r.block(block + DRAW_DELAY)["mixHash"], 16))
    assert [r.members[index] for index in r.judges] == r.seats
    assert r.earned == [(0, 0, PAID, record.digest)]
    [posted] = events(r.on.rounds, "RoundPosted", receipt)
    assert posted == {"request": r.id, "round": 1, "mask": 0b111, "record": record.hash}
    [opened] = events(r.on.rounds, "RoundOpened", receipt)
    assert (opened["round"], opened["seed"], opened["history"]) == (2, bytes(32), facts.history)
    [drawn] = events(r.on.rounds, "CommitteeDrawn", receipt)
    assert drawn == {"request": r.id, "round": 1, "seed": seed}
    [final] = events(r.on.rounds, "RoundFinalised", receipt)
    assert (final["round"], final["leader"], final["digest"]) == (1, 16, record.digest)
    assert (final["error_"], final["approvals"]) == (900, 0b111)


def test_two_rounds_are_linked(r: LargeRounds) -> None:
    chain = bytes(32)
    for _ in range(2):
        record = r.large_record()
        r.post_large(record)
        chain = keccak(chain + keccak(record.points[0].to_bytes(32, "big")))
    assert r.facts.points == chain
    assert (r.outcome.finalRounds, r.outcome.paidRounds) == (2, 2)


def test_a_judge_posts_without_its_own_signature(r: LargeRounds) -> None:
    r.post_large(sender=r.seats[1])
    assert r.facts.round == 2


def test_the_unanimous_rule_needs_all(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running(approvalRule=1)
    with expect_revert("LargeRounds_NoQuorum", 2, 3):
        r.post_large(seats=(0, 2))
    r.post_large()
    assert r.facts.round == 2


@pytest.mark.parametrize("number", [1, 2, 5, 9])
def test_forced_models_are_in_the_tree(r: LargeRounds, number: int) -> None:
    for index in r.trainers[-number:]:
        r.force(index, keccak(text=f"forced {index}"))
    r.post_large()
    assert r.facts.round == 2


def test_a_blind_round_is_paid(r: LargeRounds) -> None:
    r.post_large(r.large_record(blind=True))
    assert r.earned[0][2] == PAID | BLIND_FLAG
    assert r.outcome.paidRounds == 1


def test_a_round_without_points_is_not_paid(r: LargeRounds) -> None:
    points = r.facts.points
    r.post_large(r.large_record(points=[0] * 12, blind=True))
    assert r.earned[0][2] == 0
    assert (r.outcome.finalRounds, r.outcome.paidRounds) == (0, 0)
    assert r.facts.points == points


def test_a_round_without_a_model_is_not_final(running: Any) -> None:
    r: LargeRounds = running(target=1_000)
    r.post_large(r.large_record(digest=bytes(32), error=900))
    assert (r.outcome.finalRounds, r.outcome.paidRounds, r.outcome.reached) == (0, 1, False)
    assert r.facts.round == 2


@pytest.mark.parametrize(
    ("errors", "seats", "reached"),
    [
        ({0: 1_000, 1: 1_000, 2: 16_383}, (0, 1, 2), True),
        ({0: 1_000, 1: 1_001, 2: 16_383}, (0, 1, 2), False),
        ({0: 900, 1: 900, 2: 900}, (1, 2), True),
        ({0: 900, 1: 900, 2: 1_001}, (1, 2), False),
    ],
)
def test_the_target_is_met_by_a_quorum_that_signed(
    running: Any, errors: dict[int, int], seats: tuple[int, ...], reached: bool
) -> None:
    r: LargeRounds = running(target=1_000)
    r.post_large(r.large_record(errors=pack_errors(errors)), seats)
    assert (r.outcome.reached, r.facts.reached) == (reached, reached)
    assert r.facts.phase == (FINALISE if reached else SUBMIT)


def test_without_a_target_no_error_meets_it(running: Any) -> None:
    r: LargeRounds = running(target=0)
    r.post_large(r.large_record(error=0))
    assert (r.outcome.reached, r.facts.round) == (False, 2)


def test_the_last_round_ends_the_rounds(running: Any) -> None:
    r: LargeRounds = running(maxRounds=2)
    r.post_large()
    r.post_large()
    assert (r.facts.phase, r.facts.round, r.facts.deadline) == (FINALISE, 2, 0)
    assert (r.outcome.running, r.outcome.ended) == (True, False)


def test_a_last_round_without_points_ends_the_request(running: Any) -> None:
    r: LargeRounds = running(maxRounds=1)
    r.post_large(r.large_record(points=[0] * 12))
    assert (r.facts.phase, r.outcome.endedAt) == (ENDED, r.chain.now)


def test_a_contract_hides_no_record(r: LargeRounds) -> None:
    record, args = r.large_record(), r.post_large(send=False)
    call = r.on.rounds.encode_abi("post", [r.id, *args])
    r.chain.rpc("anvil_setCode", RELAY, relay_code(r.on.rounds.address))
    r.chain.next_at(r.facts.deadline + 1)
    sent = {"from": r.stranger.address, "to": RELAY, "data": "0x00" + call.removeprefix("0x")}
    receipt = r.chain.w3.eth.wait_for_transaction_receipt(r.chain.w3.eth.send_transaction(sent))
    [event] = events(r.on.rounds, "LargeRecordPosted", receipt)
    assert (event["request"], event["round"], event["points"]) == (r.id, 1, list(record.points))
    assert tuple(event["record"].values()) == record.fields


def test_the_transaction_shows_an_accounts_record(r: LargeRounds) -> None:
    assert not events(r.on.rounds, "LargeRecordPosted", r.post_large())


def paid_post(r: LargeRounds) -> tuple[Any, int]:
    """A round posted by a stranger that pays for its gas: the receipt, and what is refunded."""
    args = r.post_large(send=False)
    r.chain.next_at(r.facts.deadline + 1)
    call = r.on.rounds.functions.post(r.id, *args)
    paid = {"from": r.stranger.address, "gas": 10**7, "gasPrice": 10**9}
    receipt = r.chain.w3.eth.wait_for_transaction_receipt(call.transact(paid))
    (entry,) = events(r.on.rounds, "Credited", receipt)
    assert entry["extra"] >> 96 == int(r.stranger.address, 16)
    return receipt, entry["extra"] >> 32 & 2**64 - 1


@pytest.mark.parametrize("cap", [10**15, 10**13])
def test_the_poster_is_refunded_up_to_the_cap(running: Any, cap: int) -> None:
    receipt, refund = paid_post(running(gasPerRound=cap))
    if cap == 10**13:
        assert refund == 10**4
    else:
        assert 0.85 * receipt["gasUsed"] < refund <= 1.1 * receipt["gasUsed"]


def test_more_words_of_points_are_refunded_as_well(running: Any) -> None:
    """One word or two: the refund exceeds the gas by a little more, not by a word less."""
    posted = [paid_post(running(members, gasPerRound=10**15)) for members in (12, 18)]
    one, two = (refund - receipt["gasUsed"] for receipt, refund in posted)
    assert 0 < two - one < 600
