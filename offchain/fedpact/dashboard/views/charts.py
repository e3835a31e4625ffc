"""Charts of a request, as data."""

from __future__ import annotations

from fedpact.dashboard.story import RequestStory, RoundStory
from fedpact.dashboard.units import error_text
from fedpact.dashboard.views.blocks import Chart, ChartSeries
from fedpact.dashboard.views.money import MemberRow
from fedpact.types.requests import Terms
from fedpact.types.scores import INVALID, lane
from fedpact.types.specification import ScoreKind

MAX_BARS = 40


def error_chart(story: RequestStory, score: ScoreKind | None) -> Chart:
    """The global model's error by round, the best local model's where votes are errors, and the
    target."""
    rounds = [one for one in story.counted_rounds if one.final is not None]
    errors = [one.final.error if one.final else INVALID for one in rounds]
    series = [ChartSeries(name="global model", values=tuple(map(_share, errors)))]
    if score is ScoreKind.MODEL:
        best = tuple(_best(one, story.terms) for one in rounds)
        series.append(ChartSeries(name="best local model", values=best))
    if story.terms.target:
        goal = _share(story.terms.target)
        series.append(ChartSeries(name="target", values=(goal,) * len(rounds), dashed=True))
    measured = [error for error in errors if error != INVALID]
    summary = "No round is final yet."
    if measured:
        summary = f"From {error_text(measured[0])} in the first to {error_text(measured[-1])}"
        summary += f" in the last of {len(measured)} final rounds."
        if len(measured) == 1:
            summary = f"{error_text(measured[0])} after one final round."
    return Chart(
        kind="line",
        title="Error by round",
        summary=summary,
        x="round",
        y="error",
        labels=tuple(str(one.number) for one in rounds),
        proofs=tuple(one.end_transaction for one in rounds),
        series=tuple(series),
    )


def points_chart(story: RequestStory, members: tuple[MemberRow, ...]) -> Chart:
    """What each member earned, by round, stacked."""
    order = [one.account for one in members][:MAX_BARS]
    series = []
    for one in story.counted_rounds:
        earned = story.earned_in(one)
        if any(earned.values()):
            values = tuple(float(earned.get(account, 0)) for account in order)
            proof = one.credit_transaction
            series.append(ChartSeries(name=f"round {one.number}", values=values, proof=proof))
    best = max(members, key=lambda one: one.points, default=None)
    summary = "No points yet."
    if best is not None and best.points:
        total = sum(one.points for one in members)
        summary = f"{total} points in all; most to {short(best.account)}, {best.points}."
    return Chart(
        kind="stacked",
        title="Points by member",
        summary=summary,
        x="points",
        y="member",
        labels=tuple(map(short, order)),
        series=tuple(series),
        horizontal=True,
    )


def short(account: str) -> str:
    """An address or hash for people: its beginning and end."""
    return f"{account[:6]}…{account[-4:]}" if len(account) > 12 else account


def _share(error: int) -> float | None:
    return None if error == INVALID else error / 10_000


def _best(one: RoundStory, terms: Terms) -> float | None:
    """The least median of a round's votes; None in a blind round."""
    judged = one.board(terms)
    if judged is None or judged[1]:
        return None
    medians = [lane(judged[0].medians, seat) for seat in one.digests]
    return min((value / 10_000 for value in medians if value != INVALID), default=None)
