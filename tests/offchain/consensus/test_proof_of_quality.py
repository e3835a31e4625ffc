"""The mirror of rounds, against the vectors that the contracts are tested with
(tests/contracts/libraries/test_judgement_vectors.py)."""

import json
from pathlib import Path

import pytest

from fedpact.consensus.leader import leader
from fedpact.consensus.payout import fold, payouts, refunds_of, sums_of
from fedpact.consensus.proof_of_quality import Rules, finalised, judge, points_of
from fedpact.types.requests import ApprovalRule, CohortMember, Earned, LeaderRule
from fedpact.types.scores import INVALID, pack_scores

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "judgement.json").read_text())
RULES = Rules(5000, 500, 50, LeaderRule.POQ, ApprovalRule.TWO_THIRDS)


def named(kind):
    return [pytest.param(case, id=case["name"]) for case in VECTORS[kind]]


@pytest.mark.parametrize("case", named("rounds"))
def test_a_round_is_judged(case):
    votes = {int(seat): int(word, 16) for seat, word in case["votes"].items()}
    board, is_blind = judge(votes, case["submitted"], case["max_error"], case["band"])
    expected = case["board"]
    assert is_blind == case["blind"]
    assert hex(board.medians) == expected["medians"]
    assert (board.included, board.eligible) == (expected["included"], expected["eligible"])
    assert (hex(board.points), board.faults) == (expected["points"], expected["faults"])
    if "by_hand" in case:
        assert list(points_of(board.points, 3)) == case["by_hand"]


@pytest.mark.parametrize("case", named("leaders"))
def test_the_leader(case):
    members = [
        CohortMember(seat, account, case["samples"][seat], case["reputations"][seat])
        for seat, account in enumerate(case["accounts"])
    ]
    last = case["last_leader"]
    found = leader(
        case["candidates"],
        case["submitted"],
        pack_scores(dict(enumerate(case["medians"]))),
        members,
        case["round"],
        LeaderRule(case["rule"]),
        None if last == 16 else last,
    )
    assert found == case["leader"]


@pytest.mark.parametrize("case", named("payouts"))
def test_a_settlement(case):
    entries = [
        Earned(
            *(int(one[key], 16) for key in ("cohort", "points", "extra")),
            bytes.fromhex(one["digest"][2:]),
        )
        for one in case["entries"]
    ]
    assert "0x" + fold(entries).hex() == case["folded"]
    sums = sums_of(entries)
    for index, (points, quality) in enumerate(zip(case["points"], case["qualities"], strict=True)):
        if index in sums:
            assert (sums[index].points, sums[index].quality) == (points, quality)
        else:
            assert points == 0
    how = {"reached": case["reached"], "max_rounds": case["max_rounds"]}
    paid = payouts(entries, case["pay"], due=True, **how)
    assert [paid.get(index, 0) for index in range(case["count"])] == case["shares"]
    assert not any(payouts(entries, case["pay"], due=False, **how).values())
    assert refunds_of(entries, 10**30) == case["refunds"]


def test_refunds_stop_at_the_budget():
    asked = [Earned(0, 0, gas << 32 | poster << 96, bytes(32)) for gas, poster in ((3, 1), (5, 2))]
    assert list(refunds_of(asked, 4 * 10**9).values()) == [3 * 10**9, 10**9]


def attested(*given):
    votes = {i: pack_scores({j: 9 for j in range(3) if j != i}) for i in range(3)}
    board, _ = judge(votes, 7, 10, 5)
    return finalised(board, given, 7, RULES, lambda candidates: candidates.bit_length() - 1)


def test_a_third_cannot_make_a_round_final_or_meet_the_target():
    a, b = b"\1" * 32, b"\2" * 32
    assert attested((0, a, 0)) is None
    assert attested((0, a, 0), (1, b, 0)) is None
    found = attested((0, b, 0), (1, a, 400), (2, a, 501))
    assert found is not None
    assert (found.digest, found.approvals, found.leader) == (a, 0b110, 2)
    assert (found.error, found.reached) == (451, False)
    both = attested((0, a, 500), (1, a, 500), (2, b, INVALID))
    assert both is not None
    assert both.reached
    assert points_of(both.points, 3) == (2999 + 250, 2999 + 250 + 500, 2999)
