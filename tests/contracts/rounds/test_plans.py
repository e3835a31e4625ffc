"""The bounds of what a request fixes for its pool and rounds, and of time in a round."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.rounds.kit import ATTEST, WINDOW, Rounds


@pytest.mark.parametrize(
    ("contract", "changes"),
    [
        ("TrainingPool", {"minPool": 1}),
        ("TrainingPool", {"minPool": 4}),
        ("TrainingPool", {"cohort": 1}),
        ("TrainingPool", {"cohort": 17}),
        ("TrainingPool", {"weightRule": 3}),
        ("TrainingPool", {"sampleCap": 1}),
        ("TrainingPool", {"weightRule": 1}),
        ("TrainingRounds", {"maxError": 0}),
        ("TrainingRounds", {"maxError": 10_001}),
        ("TrainingRounds", {"target": 10_001}),
        ("TrainingRounds", {"maxRounds": 0}),
        ("TrainingRounds", {"maxRounds": 1_001}),
        ("TrainingRounds", {"leaderRule": 2}),
        ("TrainingRounds", {"approvalRule": 2}),
        ("TrainingRounds", {"voteBand": 1_001}),
    ],
)
def test_plans_out_of_bounds_are_refused(
    rounds_of: Any, expect_revert: Any, contract: str, changes: dict[str, int]
) -> None:
    with expect_revert(f"{contract}_BadPlan"):
        rounds_of(3, **changes).create()


def test_plans_at_their_bounds_are_taken(rounds_of: Any) -> None:
    least = {"minPool": 2, "cohort": 2, "maxError": 1, "target": 0, "maxRounds": 1}
    most: dict[str, int] = {
        **{"minPool": 3, "cohort": 16, "weightRule": 2, "maxError": 10_000, "target": 10_000},
        **{"maxRounds": 1_000, "leaderRule": 1, "approvalRule": 1, "voteBand": 1_000},
    }
    for bounds in (least, most):
        r: Rounds = rounds_of(3, **bounds)
        r.create()
        plan = r.on.pool.functions.facts(r.id).call().plan
        fixed = ("minPool", "maxPool", "cohort", "weightRule", "sampleCap")
        assert [getattr(plan, name) for name in fixed] == [r.terms[name] for name in fixed]
        assert plan.reputations == (bounds is most)


def test_a_turn_begins_and_ends_with_its_second(rounds_of: Any, expect_revert: Any) -> None:
    r: Rounds = rounds_of(3)
    r.create()
    r.enrol()
    closed = r.on.pool.functions.facts(r.id).call().closedAt
    r.chain.next_at(closed + WINDOW)
    r.start(1)
    r.pass_deadline()
    r.close()
    # After a void start the turns of those after it are counted anew, and no longer.
    begun = r.chain.now
    r.chain.next_at(begun + WINDOW + 1)
    with expect_revert("TrainingRounds_TooLate", r.id, begun + WINDOW):
        r.start(2)


def test_a_slice_opens_in_its_last_second(running: Any) -> None:
    r: Rounds = running(3)
    r.submit(0, 1, 2)
    r.chain.next_at(r.facts.deadline - WINDOW // 2)
    r.open_slice()
    assert r.facts.sliceOpened


def test_a_vote_is_revealed_once_and_by_no_voided_seat(running: Any, expect_revert: Any) -> None:
    r: Rounds = running(4)
    r.submit(0, 1, 2, 3)
    r.open_slice()
    r.commit(0, 1, 2, 3)
    r.reveal(0)
    r.contradict(3)
    for seat in (0, 3):
        with expect_revert("TrainingRounds_BadMask", r.id, 1 << seat, 0b0110):
            r.reveal(seat)
    r.reveal(1, 2)
    r.expect_phase(ATTEST)
