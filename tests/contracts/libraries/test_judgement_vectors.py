"""Rounds and settlements against the vectors that also test the Python side."""

import json
from pathlib import Path

import pytest

from fedpact.consensus.leader import leader
from fedpact.types.requests import NOBODY, CohortMember, LeaderRule

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "judgement.json").read_text())


@pytest.fixture(scope="session")
def judge(session_chain, accounts):
    return session_chain.deploy("JudgementHarness", accounts[0]).functions


@pytest.fixture(scope="session")
def payout(session_chain, accounts):
    return session_chain.deploy("PayoutHarness", accounts[0]).functions


def named(kind):
    return [pytest.param(case, id=case["name"]) for case in VECTORS[kind]]


@pytest.mark.parametrize("case", named("rounds"))
def test_a_round_is_judged(judge, case):
    votes, submitted = case["votes"], case["submitted"]
    words = [int(votes.get(str(seat), "0x0"), 16) for seat in range(16)]
    revealed = sum(1 << int(seat) for seat in votes)
    args = (words, submitted, revealed, case["max_error"], case["band"])
    board, is_blind = judge.judge(*args).call()
    expected = case["board"]
    assert is_blind == case["blind"]
    assert hex(board.medians) == expected["medians"]
    assert (board.included, board.eligible) == (expected["included"], expected["eligible"])
    assert (hex(board.points), board.faults) == (expected["points"], expected["faults"])


@pytest.mark.parametrize("case", named("leaders"))
def test_the_leader(judge, case):
    facts = zip(case["accounts"], case["samples"], case["reputations"], strict=True)
    members = [int(a, 16) << 72 | samples << 48 | own << 32 for a, samples, own in facts]
    medians = sum(score << (14 * seat) for seat, score in enumerate(case["medians"]))
    args = (case["candidates"], case["submitted"], medians, members)
    found = judge.leader(*args, case["round"], case["rule"], case["last_leader"]).call()
    assert found == case["leader"]


@pytest.mark.parametrize("rule", LeaderRule)
def test_sixteen_that_are_alike_all_lead(judge, rule):
    """By the weighted error at random, by reputation in turns."""
    members = [CohortMember(seat, f"0x{seat + 1:040x}", 100, 5_000) for seat in range(16)]
    packed = [int(m.account, 16) << 72 | m.samples << 48 | m.reputation << 32 for m in members]
    medians, all_ = sum(900 << (14 * seat) for seat in range(16)), 2**16 - 1
    leads, last = [], NOBODY
    for round_ in range(1, 17 if rule is LeaderRule.REPUTATION else 9):
        last = judge.leader(all_, all_, medians, packed, round_, int(rule), last).call()
        known = leads[-1] if leads else None
        assert last == leader(all_, all_, medians, members, round_, rule, known)
        leads.append(last)
    assert len(set(leads)) == 16 if rule is LeaderRule.REPUTATION else len(set(leads)) > 3


@pytest.mark.parametrize("case", named("payouts"))
def test_a_settlement(payout, case):
    entries = [
        (*(int(one[key], 16) for key in ("cohort", "points", "extra")), one["digest"])
        for one in case["entries"]
    ]
    folded, points, qualities, posters, refunds = payout.replay(entries, case["count"]).call()
    assert "0x" + folded.hex() == case["folded"]
    assert points == case["points"]
    assert qualities == case["qualities"]
    assert {a.lower(): n for a, n in zip(posters, refunds, strict=True)} == case["refunds"]
