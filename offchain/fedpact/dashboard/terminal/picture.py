"""A request as text: where it is, who has done what in its round, error, seconds left. Pure."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fedpact.dashboard.story import SeatStep
from fedpact.dashboard.units import amount_text, error_text
from fedpact.dashboard.untrusted_text import plain
from fedpact.dashboard.views.charts import short
from fedpact.dashboard.views.now import KINDS, Said
from fedpact.dashboard.views.request import RequestPage
from fedpact.dashboard.views.rounds import RoundView, SeatRow

BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 40
_TITLES = {
    SeatStep.MODEL: "model",
    SeatStep.COMMIT: "committed",
    SeatStep.REVEAL: "revealed",
    SeatStep.ATTEST: "attested",
}
_LEGEND = "✓ on chain  • signed, sent to the members  · not yet"


def picture(view: RequestPage, now: int, said: Said = frozenset(), own: str = "") -> RenderableType:
    """`now`: Unix time of the chain, which may be later than the view. `said`: in the present
    round, by messages. `own`: the account whose seat is marked; empty: none."""
    parts: list[RenderableType] = [_heading(view), Text(view.now.says, style="bold")]
    if view.now.waits_for and own:
        parts.append(_turn(view, own))
    if view.rounds and view.now.phase not in ("joining", "starting"):
        parts.append(_seats(view.rounds[-1], said, own))
        if said:
            parts.append(Text(_LEGEND, style="dim"))
    parts.append(_figures(view, now))
    return Group(*parts)


def sparkline(values: list[int]) -> str:
    """Bars from the smallest value to the largest; the last MOST_BARS of them."""
    shown = values[-MOST_BARS:]
    low, high = min(shown), max(shown)
    steps = len(BARS) - 1
    return "".join(BARS[steps * (one - low) // max(1, high - low)] for one in shown)


def seconds_text(seconds: float) -> str:
    """A duration in a unit that suits it, as on the pages."""
    for unit, most, size in (("s", 90, 1), ("min", 5_400, 60), ("h", 172_800, 3_600)):
        if seconds < most:
            return f"{max(0, round(seconds / size))} {unit}"
    return f"{round(seconds / 86_400)} days"


def rest_seconds(view: RequestPage, now: int) -> float | None:
    """How long the remaining rounds take if they take as long as those before; None before a round
    is final, and once none is under way. A target ends them earlier."""
    ends = [one.time for one in view.timeline if one.event == "RoundFinalised"]
    left = view.summary.max_rounds - len(ends)
    if not ends or not left or view.now.phase == "over":
        return None
    mean = (ends[-1] - view.rounds[0].opened_at) / len(ends)
    return max(0.0, left * mean - (now - ends[-1]))


def _heading(view: RequestPage) -> Text:
    summary = view.summary
    found = Text(f"request {summary.request}", style="bold cyan")
    if summary.title:
        found.append(f"  {plain(summary.title)[:60]}", style="default")
    where = view.now.phase
    if view.now.in_round:
        where = f"round {summary.round} of {summary.max_rounds}, {where}"
    elif where == "over":
        where = summary.stage
    return found.append(f"  {where}", style="magenta")


def _turn(view: RequestPage, own: str) -> Text:
    mine = own in view.now.waits_for
    return Text("It is your turn.", style="yellow") if mine else Text("It is the others' turn.")


def _seats(one: RoundView, said: Said, own: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("seat", justify="right")
    table.add_column("member")
    for title in _TITLES.values():
        table.add_column(title, justify="center")
    table.add_column("points", justify="right")
    for seat in one.seats:
        name = short(seat.account) if seat.account else "-"
        if own and seat.account == own:
            name += " (you)"
        marks = [_mark(seat, step, said) for step in _TITLES]
        points = "" if seat.points is None else str(seat.points)
        table.add_row(str(seat.seat), name, *marks, points)
    return table


def _mark(seat: SeatRow, step: SeatStep, said: Said) -> Text:
    if getattr(seat, step.value) is not None:
        return Text("✓", style="green")
    return Text("•", style="cyan") if (KINDS[step], seat.seat) in said else Text("·", style="dim")


def _figures(view: RequestPage, now: int) -> Text:
    summary, parts = view.summary, Text()
    if view.now.deadline:
        left = seconds_text(view.now.deadline - now)
        parts.append(f"{left} left   ", style="yellow")
    errors = [one.error for one in view.rounds if one.error is not None]
    if errors:
        parts.append(f"error {error_text(errors[-1])} ")
        parts.append(sparkline(errors), style="cyan")
        parts.append("   ")
    if summary.target:
        parts.append(f"target {error_text(summary.target)}   ")
    parts.append(f"{summary.final_rounds} of {summary.max_rounds} rounds final   ")
    rest = rest_seconds(view, now)
    if rest is not None:
        parts.append(f"at most {seconds_text(rest)} more at this pace   ")
    parts.append(f"pays {amount_text(summary.pay, summary.token)}", style="dim")
    return parts
