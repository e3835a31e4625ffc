"""See openSlice.tree."""

from typing import Any

import pytest

from tests.support.scenario import COMMIT, REVEAL, SLICE, SUBMIT, WINDOW, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage(maxRounds=2).committing()


def test_only_the_requester_opens_the_slice(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NotRequester", s.id, s.providers[0].address):
        s.rounds_call(s.providers[0], "openSlice", s.id, SLICE)


def test_no_slice_before_the_submissions_close(scenario: Any, expect_revert: Any) -> None:
    s = scenario().running()
    s.submit(0)
    with expect_revert("TrainingRounds_WrongPhase", s.id, SUBMIT, COMMIT):
        s.open_slice()


def test_no_slice_after_the_commits(s: Scenario, expect_revert: Any) -> None:
    for seat in range(3):
        s.commit(seat)
    with expect_revert("TrainingRounds_WrongPhase", s.id, REVEAL, COMMIT):
        s.open_slice()


def test_no_slice_in_the_second_half_of_the_window(s: Scenario, expect_revert: Any) -> None:
    half = s.facts.start + WINDOW // 2
    s.chain.next_at(half)
    with expect_revert("TrainingRounds_SliceTooLate", s.id, half):
        s.open_slice()


def test_a_second_slice_in_a_round_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.open_slice()
    with expect_revert("TrainingRounds_SliceAlreadyOpen", s.id, 1):
        s.open_slice()


def test_a_zero_digest_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_ZeroDigest"):
        s.rounds_call(s.requester, "openSlice", s.id, bytes(32))


def test_the_slice_is_announced(s: Scenario) -> None:
    s.chain.next_at(s.facts.start + WINDOW // 2 - 1)
    assert s.event("SliceOpened", s.open_slice()) == {
        "requestId": s.id,
        "round": 1,
        "digest": SLICE,
    }
    assert (s.facts.sliceOpened, s.facts.phase) == (True, COMMIT)


def test_the_next_round_has_its_own_slice(s: Scenario) -> None:
    s.open_slice()
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    assert (s.facts.round, s.facts.sliceOpened) == (2, False)
    s.submit_all()
    s.open_slice()
