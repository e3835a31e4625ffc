"""What a demo says of the rounds that it asked for."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from fedpact.demo.figures import missed_rounds, timed
from fedpact.demo.result import DemoResult, FinalModel


def test_a_missing_round_is_a_failure() -> None:
    """A run of 19 rounds of 20 said nothing of the one that was missing."""
    audit: Any = SimpleNamespace(items=())
    final = FinalModel("classification", 0.9, 0.95, 0.5, "cid")
    whole = DemoResult((), (), final, 0, 1.0, 0, audit, None, "none")
    assert whole.failures() == []
    lacking = replace(whole, missed=missed_rounds(4, {1, 2, 4}, reached=False))
    assert lacking.failures() == ["round 3 did not become final"]


def test_a_request_that_met_its_target_asked_for_no_more_rounds() -> None:
    assert missed_rounds(5, {1, 2}, reached=True) == ()
    assert missed_rounds(5, {2, 3}, reached=True) == (1,)
    assert missed_rounds(3, (), reached=False) == (1, 2, 3)


def test_seconds_are_those_of_the_final_rounds_in_their_order() -> None:
    """After a missing round they were shifted by one, and the last had none."""
    finals: list[Any] = [SimpleNamespace(round=number) for number in (1, 3, 4)]
    found = timed(finals, [7.0, 8.0])
    assert [(one.round, seconds) for one, seconds in found] == [(1, 7.0), (3, 8.0), (4, 0.0)]
