"""Figures and tables as Markdown. Intervals and standard deviations have the unit of their mean."""

from collections.abc import Iterable, Sequence

from lab.harness.configuration import Unit
from lab.harness.statistics import MeanEstimate
from lab.harness.studies import Study

PERCENT = Unit(name="%", factor=100)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def unit_of(study: Study, metric: str) -> Unit:
    """The unit in which a metric is shown."""
    return study.experiment.units.get(metric, PERCENT)


def words(metric: str) -> str:
    """A metric's name for people."""
    return metric.replace("_", " ")


def number(value: float, unit: Unit) -> str:
    """12.34 %"""
    return f"{value * unit.factor:.2f} {unit.name}"


def mean(found: MeanEstimate, unit: Unit) -> str:
    """12.34 ± 0.56 %, with the standard deviation over seeds."""
    spread = "" if found.std is None else f" ± {found.std * unit.factor:.2f}"
    return f"{found.mean * unit.factor:.2f}{spread} {unit.name}"


def interval(found: MeanEstimate, unit: Unit) -> str:
    """11.90 to 12.80, or - where one seed gives none."""
    if found.low is None or found.high is None:
        return "-"
    return f"{found.low * unit.factor:.2f} to {found.high * unit.factor:.2f}"


def signed(found: MeanEstimate, unit: Unit) -> str:
    """A difference with its interval: +0.30 [-0.10, +0.70]."""
    if found.low is None or found.high is None:
        return f"{found.mean * unit.factor:+.2f}"
    low, high = found.low * unit.factor, found.high * unit.factor
    return f"{found.mean * unit.factor:+.2f} [{low:+.2f}, {high:+.2f}]"
