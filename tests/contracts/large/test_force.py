"""One test for each leaf of force.tree."""

from __future__ import annotations

from typing import Any

from tests.contracts.large.kit import LargeRounds
from tests.contracts.rounds.kit import WINDOW
from tests.support.chainkit import events


def forced_model(r: LargeRounds, index: int) -> bytes:
    found: bytes = r.on.rounds.functions.forcedModel(r.id, index).call()
    return found


def test_models_are_taken_during_the_submissions_alone(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.force(0)
    r.start()
    first, second = r.trainers[:2]
    r.draw()
    deadline = r.facts.deadline
    r.chain.next_at(deadline)
    r.force(first)
    r.chain.next_at(deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.force(second)


def test_a_member_forces_its_own_model_alone(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting(maxPool=13)
    left = r.members[11]
    r.chain.send(left, r.on.pool.functions.withdraw(r.id, 11))
    r.chain.travel(WINDOW + 1)
    r.start()
    index = next(index for index in range(11) if r.members[index] not in r.seats)
    with expect_revert("TrainingRounds_Zero"):
        r.force(index, bytes(32))
    with expect_revert("TrainingRounds_NotMember", r.id, index, r.stranger.address):
        r.force(index, sender=r.stranger)
    with expect_revert("TrainingRounds_NotMember", r.id, 11, left.address):
        r.force(11)


def test_a_judge_does_not_train(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    for judge in r.judges:
        with expect_revert("LargeRounds_Judges", r.id, judge):
            r.force(judge)


def test_a_model_is_forced_once_a_round(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    index = r.trainers[0]
    r.force(index)
    with expect_revert("LargeRounds_AlreadyForced", r.id, index):
        r.force(index, b"\x07" * 32)
    assert forced_model(r, index) == r.digest(index)


def test_a_forced_model_is_kept(running: Any) -> None:
    r: LargeRounds = running()
    first, second = r.trainers[:2]
    receipt = r.force(second)
    [event] = events(r.on.rounds, "ModelForced", receipt)
    assert event == {"request": r.id, "round": 1, "index": second, "digest": r.digest(second)}
    r.force(first)
    assert r.facts.forced == 2
    assert forced_model(r, second) == r.digest(second)
    assert forced_model(r, r.trainers[2]) == bytes(32)


def test_the_next_round_begins_with_none(running: Any) -> None:
    r: LargeRounds = running(maxRounds=50)
    index = r.trainers[0]
    r.force(index)
    r.post_large()
    assert r.facts.forced == 0
    while index in r.judges:
        r.post_large()
    r.force(index)
    assert r.facts.forced == 1


def test_a_void_start_takes_its_models_with_it(running: Any) -> None:
    r: LargeRounds = running()
    index = r.trainers[0]
    r.force(index)
    r.close_large()
    starter = 1
    r.chain.next_at(r.facts.deadline)
    r.start(starter)
    while index in r.judges:
        r.close_large()
        starter += 1
        r.start(starter)
    assert (r.facts.round, r.facts.forced) == (1, 0)
    r.force(index, b"\x07" * 32)
    assert forced_model(r, index) == b"\x07" * 32
