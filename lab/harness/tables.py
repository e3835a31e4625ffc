"""Studies as Markdown: each cell's figures, their intervals and the paper's figure."""

import itertools
from collections.abc import Mapping, Sequence

from lab.harness import claims, configuration
from lab.harness.configuration import Experiment, PaperFigure
from lab.harness.figures import interval, mean, number, signed, table, unit_of, words
from lab.harness.results import Result
from lab.harness.standalone import StandaloneClaim
from lab.harness.statistics import estimate, paired_difference
from lab.harness.studies import Cell, Study, cells

HEAD = "Written by `python -m lab report`; do not edit."


IndexRow = tuple[str, str, str, str, str, str]
"""Experiment, what, scale, cases, hours, state."""


def index(
    studies: Sequence[Study],
    standalone: Sequence[IndexRow],
    claimed: Sequence[StandaloneClaim],
    unmatched: Sequence[Result],
) -> str:
    """The list of all pages and of what has not been run; `standalone` are its last rows, `claimed`
    the claims about studies without a configuration file."""
    lines = ["# Results of experiments", "", HEAD, ""]
    lines.append(
        "Scale `full` is the paper's own setting; `small` is cut down for two cores and says "
        "nothing about `full`. `medium` has the paper's rounds, epochs, batches and number of "
        "providers, on fewer images and a smaller network. Every experiment is listed with its "
        "state at each scale. The time that cases without results need is estimated from the "
        "timed cases of their experiment or data set; it is a lower bound (over) where "
        "those trained a smaller model. Results of single cases, with seeds, versions and commit, "
        "are in `cases/`, one JSON Lines file per experiment and scale. "
        "All figures as data: [summary.json](summary.json)."
    )
    reported = {study.experiment.name for study in studies if study.started}
    rows: list[IndexRow] = []
    for study in studies:
        name = study.experiment.name
        done = sum(len(runs) for runs in study.runs.values())
        hours = sum(one.seconds for runs in study.runs.values() for one in runs.values()) / 3600
        rows.append(
            (
                f"[{name}]({name}.md)" if name in reported else name,
                study.experiment.title,
                study.scale.value,
                str(done),
                f"{hours:.2f}",
                study.state,
            )
        )
    rows += standalone
    lines += ["", *table(("experiment", "what", "scale", "cases", "hours", "state"), rows)]
    run = [study for study in studies if study.started]
    claimed_by = [(study, claim) for study in run for claim in study.experiment.claims]
    if claimed_by:
        lines += ["", "## The papers' claims and our results", "", *claims.verdicts(claimed_by)]
    if claimed:
        lines += ["", "### Computed, not repeated", "", *claims.computed(claimed)]
    if unmatched:
        names = sorted({str(result.case.get("experiment")) for result in unmatched})
        lines += [
            "",
            f"{len(unmatched)} results are left out, as their settings differ from the present "
            f"files ({', '.join(names)}).",
        ]
    return "\n".join(lines) + "\n"


def page(studies: Sequence[Study], plots: Mapping[str, str | None]) -> str:
    """The page of one experiment, with all scales that have results."""
    experiment = studies[0].experiment
    lines = [f"# {experiment.title}", "", HEAD]
    for note in experiment.notes:
        lines += ["", note]
    for study in studies:
        lines += ["", f"## Scale {study.scale}", "", *_setting(study)]
        plot = plots.get(study.name)
        if plot is not None:
            lines += ["", f"![{experiment.title}, scale {study.scale}]({plot})"]
        lines += ["", *(_pivots(study) if experiment.grid else _flat(study))]
        if experiment.claims:
            lines += ["", *claims.verdicts([(study, claim) for claim in experiment.claims])]
    return "\n".join(lines) + "\n"


def paper_value(experiment: Experiment, cell: Cell, metric: str) -> float | None:
    """The paper's figure for a cell, between 0 and 1."""
    figure = _figure(experiment, cell, metric)
    return None if figure is None else figure.value


def _figure(experiment: Experiment, cell: Cell, metric: str) -> PaperFigure | None:
    for figure in experiment.paper:
        if (figure.partition, figure.method, figure.metric) == (*cell, metric):
            return figure
    return None


def _setting(study: Study) -> list[str]:
    runs = [one for by_seed in study.runs.values() for one in by_seed.values()]
    scale = study.experiment.scales[study.scale]
    commits = sorted(
        {
            str(one.provenance["commit"])[:10]
            + (" with changes" if one.provenance["uncommitted_changes"] else "")
            for one in runs
        }
    )
    devices = sorted({str(one.provenance["device"]) for one in runs})
    shared = configuration.merged((study.experiment.settings, scale.settings))
    providers = ", ".join(
        str(one) for one in sorted({case.providers for case in study.cases.values()})
    )
    lines = [
        f"Data set {study.experiment.dataset}, {providers} providers, "
        f"{len(runs)} cases on {', '.join(devices) or '-'}, commit {', '.join(commits) or '-'}.",
    ]
    if shared:
        settings = "; ".join(f"{key} {_shown(value)}" for key, value in shared.items())
        lines += ["", f"Settings: {settings}."]
    if study.missing:
        lines += ["", f"{len(study.missing)} cases have not been run: {study.needs}."]
    return lines


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {_shown(one)}" for key, one in value.items()) + ")"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_shown(one) for one in value) + "]"
    return str(value)


def _flat(study: Study) -> list[str]:
    """One row per metric and cell, with the difference to the file's first method."""
    base = next(iter(study.experiment.methods))
    rows = []
    for metric in study.metrics():
        unit = unit_of(study, metric)
        for cell, _ in cells(study):
            values = study.values(cell, metric)
            if not values:
                continue
            found = estimate(list(values.values()))
            figure = _figure(study.experiment, cell, metric)
            paired = paired_difference(values, study.values((cell[0], base), metric))
            rows.append(
                (
                    cell[0],
                    cell[1],
                    words(metric),
                    mean(found, unit),
                    interval(found, unit),
                    "-" if cell[1] == base or paired is None else signed(paired, unit),
                    "-" if figure is None else f"{number(figure.value, unit)} ({figure.source})",
                    str(found.count),
                    study.scale.value,
                )
            )
    head = (
        "partition",
        "method",
        "metric",
        "mean ± std",
        "95 % interval",
        f"minus {base}, same seeds",
        "paper",
        "seeds",
        "scale",
    )
    return table(head, rows)


def _pivots(study: Study) -> list[str]:
    """One table per metric and partition, with the grid's last axis as columns."""
    *down, across = study.experiment.grid
    lines: list[str] = []
    for metric, partition in itertools.product(
        study.metrics(), dict.fromkeys(cell[0] for cell, _ in cells(study))
    ):
        unit = unit_of(study, metric)
        rows: dict[tuple[str, ...], dict[str, str]] = {}
        columns: dict[str, None] = {}
        for cell, _ in cells(study):
            values = study.values(cell, metric)
            if cell[0] != partition or not values:
                continue
            case = study.cases[cell]
            key = (cell[1].split(" ")[0], *(_shown(case.at(axis)) for axis in down))
            column = _shown(case.at(across))
            columns[column] = None
            rows.setdefault(key, {})[column] = mean(estimate(list(values.values())), unit)
        if rows:
            lines += ["", f"**{words(metric)}, {partition}, scale {study.scale}**, by {across}:"]
            lines += [
                "",
                *table(
                    ("method", *down, *columns),
                    (
                        (*key, *(row.get(column, "-") for column in columns))
                        for key, row in rows.items()
                    ),
                ),
            ]
    return lines[1:]
