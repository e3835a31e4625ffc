"""What the requester's evaluation slices say of a model, as charts."""

from __future__ import annotations

from fedpact.dashboard.untrusted_text import plain
from fedpact.dashboard.views.blocks import Chart, ChartSeries
from fedpact.requester.card.quality import Bin, Quality

LONGEST_NAME = 40
"""Characters of a label in a legend."""


def calibration_chart(quality: Quality) -> Chart:
    """How often the most probable label was right, by its probability; of a regression, values by
    prediction. The dashed line is what calibrated outputs would be."""
    bins, values = quality.calibration, not quality.classes
    if values:
        title, x, y = "Predictions and values", "mean prediction of a tenth", "mean value"
        summary = "Examples in ten equal parts by prediction."
    else:
        title, x, y = "Calibration", "probability of the most probable label", "share right"
        summary = _calibration_summary(quality)
    series = [ChartSeries(name="found", values=tuple(one.found for one in bins))]
    series.append(ChartSeries(name="ideal", values=tuple(one.said for one in bins), dashed=True))
    labels = tuple(f"{one.said:.4g}" if values else f"{one.said:.2f}" for one in bins)
    return Chart(
        kind="line",
        title=title,
        summary=summary,
        x=x,
        y=y,
        labels=labels,
        series=tuple(series),
        ceiling=None if values else 1.0,
    )


def roc_chart(quality: Quality) -> Chart | None:
    """The mean curve over the labels, and the labels with the largest and smallest area."""
    roc = quality.roc
    if roc is None:
        return None
    areas = {one.label: one.auc for one in quality.classes if one.auc is not None}
    mean = sum(areas.values()) / len(areas)
    series = [ChartSeries(name="mean of all labels", values=roc.mean)]
    summary = f"Area under the curve: {mean:.4f}"
    if len(areas) > 2:
        for label, curve in ((roc.best_label, roc.best), (roc.worst_label, roc.worst)):
            name = f"{plain(label)[:LONGEST_NAME]} ({areas[label]:.4f})"
            series.append(ChartSeries(name=name, values=curve))
        summary += " on average over the labels, each against all others"
    series.append(ChartSeries(name="chance", values=roc.false_positive, dashed=True))
    return Chart(
        kind="line",
        title="ROC",
        summary=f"{summary}.",
        x="false positive rate",
        y="sensitivity",
        labels=tuple(f"{one:.2f}" for one in roc.false_positive),
        series=tuple(series),
        ceiling=1.0,
        points=False,
    )


def _calibration_summary(quality: Quality) -> str:
    """With the expected calibration errors (Guo et al. 2017, equation 3)."""
    said = f"Probabilities as the model gives them are off by {_off(quality.calibration):.3f}"
    if quality.calibrated:
        said += f", as fedpact request answer gives them by {_off(quality.calibrated):.3f}"
    return f"{said} on average."


def _off(bins: tuple[Bin, ...]) -> float:
    return sum(one.examples * abs(one.said - one.found) for one in bins) / sum(
        one.examples for one in bins
    )
