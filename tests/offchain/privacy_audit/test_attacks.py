"""The attacks that once worked, a few trials each; `python -m benchmarks.attacks` makes 200."""

from dataclasses import replace

import pytest

from benchmarks import attacks
from fedpact.privacy_audit import participation
from fedpact.privacy_audit.participation import ROUNDING, TEXTS, UNKNOWN_LABEL, play

COUNTS_AS_ZERO = (
    *("all labels but one", "output that is no number", "columns that are no numbers"),
    *("codes of characters", "budget that is used up"),
)
"""Attacks whose record does not fit the request. That of the others moves the sums by its price."""
TEXT_FAMILIES = ("text-statistics", "network-statistics", "random-forest")


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_an_attack_of_the_table_learns_nothing(name: str) -> None:
    advantage, move = attacks.result(name, 4)
    assert advantage == 0
    assert move <= 1 + ROUNDING
    assert name in COUNTS_AS_ZERO or move > 0.99


def test_counting_records_when_joining_gives_the_attacker_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = participation.match_to_join

    def counted(own, *arguments):
        match = real(own, *arguments)
        return replace(match, samples=len(match.data.records.load().records.labels))

    monkeypatch.setattr(participation, "match_to_join", counted)
    assert attacks.result("all labels but one", 4)[0] == 1


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(one, marks=pytest.mark.slow if one == "network-statistics" else ())
        for one in TEXT_FAMILIES
    ],
)
def test_no_text_stops_a_construction_or_counts_for_more_than_its_price(family: str) -> None:
    """Every text of the game, labelled or with an unknown label."""
    request = attacks.request(family)
    without = play(request, None, "a", False, 1)
    assert without.behaviour.decision == participation.JOINS
    for name, text in TEXTS.items():
        label = UNKNOWN_LABEL if name == "zeros" else "a"
        found = play(request, text, label, False, 1)
        assert found.behaviour == without.behaviour, name
        move = participation._moved(found.sums, without.sums) * attacks.multiplier(request)
        assert move <= 1 + ROUNDING, name
