"""A request as text: whose turn it is by chain and by messages, seconds left, error, how long."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from fedpact.dashboard.index.reading import DescribedRequest
from fedpact.dashboard.terminal.picture import picture, rest_seconds, seconds_text, sparkline
from fedpact.dashboard.views.now import Said
from fedpact.dashboard.views.request import RequestPage, Sources, request_view
from fedpact.exchange.messages import SLICE_SEAT, Kind
from fedpact.types.requests import Phase
from tests.offchain.dashboard.told_events import ACCOUNTS, GOOD, make_facts, round_of, story, votes
from tests.offchain.requester.requests_of_digits import draft

OPENED = round_of(0b1111, votes(*GOOD))[:1]
HOSTILE = "\x1b[2J\x1b]0;owned\x07 digits\u202e"


def seen(said: Said = frozenset(), **facts: object) -> RequestPage:
    spec = draft(title=HOSTILE).specification
    now = make_facts(**{"phase": Phase.SUBMIT, "deadline": 5_000, **facts})
    return request_view(
        Sources(story(*OPENED), DescribedRequest("", spec, ""), now, 4_940, said=said)
    )


def text(view: RequestPage, said: Said = frozenset(), own: str = "") -> str:
    out = StringIO()
    Console(file=out, width=120).print(picture(view, 4_945, said, own))
    return out.getvalue()


def of(kind: Kind, *seats: int) -> Said:
    return frozenset((kind, seat) for seat in seats)


SLICE = of(Kind.SLICE, SLICE_SEAT)
MODELS = of(Kind.MODEL, 0, 1, 2, 3)
VOTES = of(Kind.VOTE, 0, 1, 2, 3)
REVEALS = of(Kind.REVEAL, 0, 1, 2, 3)


@pytest.mark.parametrize(
    ("said", "phase", "says"),
    [
        (frozenset(), "submit", "Seats 0, 1, 2, 3 must train, and submit a model."),
        (of(Kind.MODEL, 0, 1, 3), "submit", "Seat 2 must train, and submit a model."),
        (MODELS, "commit", "The requester opens the evaluation slice next."),
        (
            MODELS | SLICE | of(Kind.VOTE, 1),
            "commit",
            "Seats 0, 2, 3 must score the models, and commit to a vote.",
        ),
        (MODELS | SLICE | VOTES, "reveal", "Seats 0, 1, 2, 3 must reveal the vote."),
        (
            MODELS | SLICE | VOTES | REVEALS | of(Kind.ATTEST, 0, 1),
            "attest",
            "Seats 2, 3 must aggregate, and attest the global model.",
        ),
        (
            MODELS | SLICE | VOTES | REVEALS | of(Kind.ATTEST, 0, 1, 2, 3),
            "attest",
            "All have signed. A member posts the round next.",
        ),
    ],
)
def test_whose_turn_it_is_by_messages(said: Said, phase: str, says: str) -> None:
    now = seen(said).now
    assert (now.phase, now.says, now.deadline) == (phase, says, 5_000)


def test_who_is_waited_for_is_named() -> None:
    assert seen(MODELS).now.waits_for == (story().created.requester,)
    assert seen(of(Kind.MODEL, 0, 1, 3)).now.waits_for == (ACCOUNTS[2],)


def test_a_member_sees_its_turn_and_seconds_left() -> None:
    said = of(Kind.MODEL, 0)
    shown = text(seen(said), said, ACCOUNTS[1])
    assert "It is your turn." in shown
    assert "55 s left" in shown
    rows = [line for line in shown.splitlines() if "0x0000" in line]
    assert [row.count("•") for row in rows] == [1, 0, 0, 0]
    assert ["(you)" in row for row in rows] == [False, True, False, False]
    assert "It is the others' turn." in text(seen(said), said, ACCOUNTS[0])


def test_foreign_text_moves_no_cursor() -> None:
    shown = text(seen())
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "digits" in shown


def test_a_final_round_shows_points_error_and_pace() -> None:
    spec = draft().specification
    told = story(*round_of(0b1111, votes(*GOOD)))
    facts = replace(make_facts(), phase=Phase.SUBMIT, round=2, deadline=5_000)
    view = request_view(Sources(told, DescribedRequest("", spec, ""), facts, 4_940))
    shown = text(view)
    assert "error 0.0800 ▁" in shown
    assert "1 of 2 rounds final" in shown
    [opened] = [one.time for one in view.timeline if one.event == "RoundOpened"]
    [final] = [one.time for one in view.timeline if one.event == "RoundFinalised"]
    assert rest_seconds(view, final) == final - opened
    assert rest_seconds(view, final + 10**6) == 0
    assert rest_seconds(seen(), 4_940) is None


def test_sparkline_and_durations() -> None:
    assert sparkline([900, 500, 100]) == "█▄▁"
    assert sparkline([5]) == "▁"
    assert len(sparkline(list(range(500)))) == 40
    said = [seconds_text(one) for one in (-3, 89, 600, 7_200, 400_000)]
    assert said == ["0 s", "89 s", "10 min", "2 h", "5 days"]
