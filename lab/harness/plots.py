"""Plots of studies as SVG; equal results give equal bytes."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.harness.configuration import Unit
from lab.harness.figures import PERCENT
from lab.harness.statistics import estimate
from lab.harness.studies import Study, cells
from lab.harness.tables import paper_value

PANEL_INCHES = (3.6, 2.8)
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "fedpact",  # otherwise ids differ on each run
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def draw(study: Study) -> bytes | None:
    """Curves over the rounds, or metrics over the grid's last axis; None if there is neither."""
    with mpl.rc_context(STYLE):
        over = _over_the_grid if study.experiment.grid else _over_the_rounds
        figure = over(study)
        if figure is None:
            return None
        kept = io.BytesIO()
        figure.savefig(kept, format="svg", metadata={"Date": None})
        return kept.getvalue()


def _over_the_rounds(study: Study) -> Figure | None:
    """One panel per curve and partition, a line per method; bands are one standard deviation."""
    partitions = list(dict.fromkeys(cell[0] for cell, _ in cells(study)))
    curves = [
        curve
        for curve in study.experiment.curves
        if any(study.curves(cell, curve) for cell, _ in cells(study))
    ]
    if not curves:
        return None
    figure, panels = _figure(study, len(curves), len(partitions))
    for row, curve in zip(panels, curves, strict=True):
        for axes, partition in zip(row, partitions, strict=True):
            _curves(study, axes, curve, partition)
    _legend(figure)
    return figure


def _curves(study: Study, axes: Axes, curve: str, partition: str) -> None:
    unit = study.experiment.units.get(curve, PERCENT)
    for number, method in enumerate(study.experiment.methods):
        runs = study.curves((partition, method), curve)
        if not runs:
            continue
        rounds = min(len(run) for run in runs)
        values = np.array([run[:rounds] for run in runs]) * unit.factor
        mean, x, color = values.mean(axis=0), np.arange(1, rounds + 1), f"C{number}"
        axes.plot(x, mean, color=color, label=method, linewidth=1.2)
        if len(runs) > 1:
            spread = values.std(axis=0, ddof=1)
            axes.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
        paper = paper_value(study.experiment, (partition, method), curve)
        if paper is not None:
            label = f"{method}, paper"
            axes.axhline(
                paper * unit.factor, color=color, linestyle=":", linewidth=1.0, label=label
            )
    axes.set_title(partition)
    axes.set_xlabel("round")
    axes.set_ylabel(_axis(curve, unit))


def _over_the_grid(study: Study) -> Figure | None:
    """One row per metric and partition, one panel per value of the first axis, the last as x."""
    *down, across = study.experiment.grid
    shown = [(metric, one) for metric in study.metrics() for one in study.experiment.partitions]
    points = [(cell, study.cases[cell]) for cell, _ in cells(study)]
    panels_of = list(dict.fromkeys(str(case.at(down[0])) if down else "" for _, case in points))
    shown = [
        (metric, partition)
        for metric, partition in shown
        if any(study.values(cell, metric) for cell, _ in points if cell[0] == partition)
    ]
    if not shown:
        return None
    figure, panels = _figure(study, len(shown), len(panels_of))
    for row, (metric, partition) in zip(panels, shown, strict=True):
        unit = study.experiment.units.get(metric, PERCENT)
        for axes, panel in zip(row, panels_of, strict=True):
            lines: dict[str, list[tuple[object, float]]] = {}
            for cell, case in points:
                values = study.values(cell, metric)
                if cell[0] == partition and values and (not down or str(case.at(down[0])) == panel):
                    line = " ".join(
                        [cell[1].split(" ")[0], *(str(case.at(one)) for one in down[1:])]
                    )
                    mean = estimate(list(values.values())).mean * unit.factor
                    lines.setdefault(line, []).append((case.at(across), mean))
            for number, (line, pairs) in enumerate(lines.items()):
                axes.plot(
                    *zip(*pairs, strict=True), "o-", markersize=3, color=f"C{number}", label=line
                )
            axes.set_title(f"{partition} {panel}".strip())
            axes.set_xlabel(across)
            axes.set_ylabel(_axis(metric, unit))
    _legend(figure)
    return figure


def _figure(study: Study, rows: int, columns: int) -> tuple[Figure, Any]:
    """The figure and its panels, an array of Axes (rows, columns)."""
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    figure.suptitle(f"{study.experiment.title} (scale {study.scale})")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _legend(figure: Figure) -> None:
    """One legend for all panels."""
    named: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=4)


def _axis(name: str, unit: Unit) -> str:
    return f"{name.replace('_', ' ')} ({unit.name})"
