"""The demo's result on a terminal."""

from rich.console import Console
from rich.table import Table

from fedpact.audit import AuditReport, Verdict
from fedpact.demo.result import DemoResult

_MARKS = {Verdict.HOLDS: "[green]holds", Verdict.FAILS: "[red]FAILS"}


def print_result(result: DemoResult, console: Console) -> None:
    console.print(_rounds(result))
    console.print(_providers(result))
    console.print(f"privacy: {result.privacy}")
    if result.cost is not None:
        console.print(
            f"epsilon at delta {result.cost.delta:g}, of all releases of a provider, for a"
            f" {result.cost.unit} replaced by nothing, by the {result.cost.accountant};"
            f" {result.cost.epsilon_replacement:.2f} for one replaced by any other"
        )
    final = result.final
    reached, centrally, single = (
        f"{value:.4f}" for value in final.published().values() if isinstance(value, float)
    )
    measure = "accuracy" if final.task == "classification" else "mean absolute error (of scale)"
    console.print(
        f"{measure} on held-out data: {reached}"
        f" (trained centrally without privacy: {centrally}, best single provider: {single})"
    )
    console.print(f"model: {final.cid}")
    console.print(_audit(result.audit))
    console.print(
        f"{result.gas:,} gas in all, {result.seconds:.1f} s,"
        f" {result.refunded_wei / 1e18:.4f} ether refunded"
    )


def _rounds(result: DemoResult) -> Table:
    table = Table(title="Rounds", title_justify="left")
    for heading in ("round", "leader", "left out", "MAE of the global model", "gas", "seconds"):
        table.add_column(heading, justify="left" if heading in ("leader", "left out") else "right")
    for number, row in enumerate(result.rounds, start=1):
        table.add_row(
            str(number),
            _short(row.leader),
            ", ".join(_short(address) for address in row.excluded) or "-",
            "-" if row.mae is None else f"{row.mae / 10_000:.4f}",
            f"{row.gas:,}",
            f"{row.seconds:.2f}",
        )
    return table


def _providers(result: DemoResult) -> Table:
    table = Table(title="Providers", title_justify="left")
    drawn = ("drawn",) if any(row.drawn is not None for row in result.providers) else ()
    headings = ("provider", "samples", *drawn, "points", "paid (ether)", "epsilon", "reputation")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "provider" else "right")
    for row in result.providers:
        hostile = f" [red]({row.poisoned})" if row.poisoned else ""
        cost = "-" if row.epsilon is None else f"{row.epsilon:.2f}"
        table.add_row(
            _short(row.address) + hostile,
            str(row.samples),
            *([str(row.drawn)] if drawn else []),
            f"{row.points:,}",
            f"{row.paid_wei / 1e18:.4f}",
            cost,
            f"{row.reputation / 10_000:.4f}",
        )
    return table


def _audit(audit: AuditReport) -> Table:
    table = Table(title="Audit: recomputed from chain and store alone", title_justify="left")
    table.add_column("item")
    table.add_column("verdict")
    table.add_column("detail")
    for item in audit.items:
        table.add_row(
            item.name.replace("_", " "),
            _MARKS.get(item.verdict, "[yellow]unavailable"),
            item.detail,
        )
    return table


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"
