"""Studies as Markdown: each cell's figures, their intervals and the paper's figure."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from lab.harness import configuration
from lab.harness.configuration import Claim, Experiment, PaperFigure, Unit
from lab.harness.results import Result
from lab.harness.standalone import StandaloneClaim
from lab.harness.statistics import MeanEstimate, ahead_from, estimate, paired_difference
from lab.harness.studies import Cell, Study, cells

PERCENT = Unit(name="%", factor=100)
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
    claims = [(study, claim) for study in run for claim in study.experiment.claims]
    if claims:
        lines += ["", "## The papers' claims and our results", "", *_claims(claims)]
    if claimed:
        lines += ["", "### Computed, not repeated", "", *_computed(claimed)]
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
            lines += ["", *_claims([(study, claim) for claim in experiment.claims])]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


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
        "",
        "Settings: " + "; ".join(f"{key} {_shown(value)}" for key, value in shared.items()) + ".",
    ]
    for reason, count in study.skipped.items():
        lines += ["", f"{count} cases were skipped: {reason}."]
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
        unit = _unit(study, metric)
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
                    _words(metric),
                    _mean(found, unit),
                    _interval(found, unit),
                    "-" if cell[1] == base or paired is None else _signed(paired, unit),
                    "-" if figure is None else f"{_number(figure.value, unit)} ({figure.source})",
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
        unit = _unit(study, metric)
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
            rows.setdefault(key, {})[column] = _mean(estimate(list(values.values())), unit)
        if rows:
            lines += ["", f"**{_words(metric)}, {partition}, scale {study.scale}**, by {across}:"]
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


def _claims(claims: Sequence[tuple[Study, Claim]]) -> list[str]:
    rows = []
    for study, claim in claims:
        unit = _unit(study, claim.metric)
        ours, base = (claim.partition, claim.method), (claim.partition, claim.base)
        paired = paired_difference(
            study.values(ours, claim.metric), study.values(base, claim.metric)
        )
        paper = claim.paper_difference
        if paired is None:
            continue
        rows.append(
            (
                claim.text,
                study.experiment.dataset,
                claim.partition,
                "-" if paper is None else f"{paper * unit.factor:+.2f} {unit.name}",
                _signed(paired, unit),
                _verdict(paired),
                _ahead(study, claim),
                _seeds_ahead(study, claim),
                study.scale.value,
            )
        )
    head = (
        "claim",
        "data set",
        "partition",
        "paper's difference",
        "ours, same seeds [95 %]",
        "result at this scale",
        "ahead from round",
        "seeds ahead",
        "scale",
    )
    return table(head, rows)


def _computed(claims: Sequence[StandaloneClaim]) -> list[str]:
    rows = [
        (
            claim.text,
            claim.source,
            claim.setting,
            f"{claim.ours:,.4g} against {claim.base:,.4g} {claim.unit}",
            claim.verdict,
        )
        for claim in claims
    ]
    return table(("claim", "source", "setting", "ours", "result"), rows)


def _verdict(paired: MeanEstimate) -> str:
    if paired.low is None or paired.high is None:
        return "one seed: no conclusion"
    if paired.low > 0:
        return "observed"
    return "opposite observed" if paired.high < 0 else "not significant"


def _seeds_ahead(study: Study, claim: Claim) -> str:
    """In how many of the seeds that both have the method is above the base."""
    ours, base = (
        study.values((claim.partition, method), claim.metric)
        for method in (claim.method, claim.base)
    )
    both = ours.keys() & base.keys()
    return f"{sum(ours[seed] > base[seed] for seed in both)} of {len(both)}"


def _ahead(study: Study, claim: Claim) -> str:
    """From which round the mean curve stays above the base's."""
    if not claim.curve:
        return "-"
    ours, base = (
        [sum(column) / len(column) for column in zip(*curves, strict=False)]
        for curves in (
            study.curves((claim.partition, claim.method), claim.curve),
            study.curves((claim.partition, claim.base), claim.curve),
        )
    )
    since = ahead_from(ours, base)
    return f"never in {len(ours)}" if since is None else f"{since} of {len(ours)}"


def _unit(study: Study, metric: str) -> Unit:
    return study.experiment.units.get(metric, PERCENT)


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _number(value: float, unit: Unit) -> str:
    return f"{value * unit.factor:.2f} {unit.name}"


def _mean(found: MeanEstimate, unit: Unit) -> str:
    spread = "" if found.std is None else f" ± {found.std * unit.factor:.2f}"
    return f"{found.mean * unit.factor:.2f}{spread} {unit.name}"


def _interval(found: MeanEstimate, unit: Unit) -> str:
    if found.low is None or found.high is None:
        return "-"
    return f"{found.low * unit.factor:.2f} to {found.high * unit.factor:.2f}"


def _signed(found: MeanEstimate, unit: Unit) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean * unit.factor:+.2f}"
    low, high = found.low * unit.factor, found.high * unit.factor
    return f"{found.mean * unit.factor:+.2f} [{low:+.2f}, {high:+.2f}]"
