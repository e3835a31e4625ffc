"""Writes tables and plots of results beside the papers' figures, and all figures as JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fedpact.errors import InvalidInput
from lab.harness import tables
from lab.harness.configuration import Experiment
from lab.harness.results import ResultFolder, write_whole
from lab.harness.standalone import StandaloneStudy
from lab.harness.statistics import estimate
from lab.harness.studies import Study, cells, privacy_of, studies

SUMMARY = "summary.json"
INDEX = "README.md"
PLOTS = "plots"


def report(
    folder: Path, experiments: Sequence[Experiment], standalone: Sequence[StandaloneStudy] = ()
) -> list[Path]:
    """Write SUMMARY, INDEX and the pages and plots of each study into `folder`; returns the paths.

    Raises InvalidInput if there are no results of these studies or matplotlib is missing.
    """
    results = ResultFolder(folder).all()
    found, unmatched = studies(experiments, results)
    if not any(study.started for study in found) and not any(s.files(folder) for s in standalone):
        raise InvalidInput(f"no results in {folder}: run experiments first (python -m lab run)")
    written = [folder / SUMMARY, folder / INDEX]
    standalone_rows = [_index_row(study, folder) for study in standalone]
    rows = [row for study in found for row in summary_rows(study)]
    text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(written[0], (text + "\n").encode())
    claimed = [claim for study in standalone for claim in study.claimed(folder)]
    index = tables.index(found, standalone_rows, claimed, unmatched)
    write_whole(written[1], index.encode())
    for experiment in experiments:
        own = [study for study in found if study.experiment is experiment and study.started]
        if own:
            drawn = {study.name: _plot(study, folder) for study in own}
            page = folder / f"{experiment.name}.md"
            write_whole(page, tables.page(own, drawn).encode())
            written += [page, *(folder / plot for plot in drawn.values() if plot is not None)]
    for one in standalone:
        if one.report is not None and one.files(folder):
            written += one.report(folder)
    return written


def summary_rows(study: Study) -> Iterable[dict[str, Any]]:
    """One row per partition, method and metric; figures between 0 and 1."""
    for cell, runs in cells(study):
        privacy = privacy_of(runs)
        for metric in study.metrics():
            values = study.values(cell, metric)
            if not values:
                continue
            found = estimate(list(values.values()))
            yield {
                "experiment": study.experiment.name,
                "dataset": study.experiment.dataset,
                "partition": cell[0],
                "providers": study.cases[cell].providers,
                "method": cell[1],
                "privacy": privacy["mode"],
                "epsilon": privacy["epsilon"],
                "delta": privacy["delta"],
                "metric": metric,
                "mean": round(found.mean, 6),
                "std": None if found.std is None else round(found.std, 6),
                "seeds": found.count,
                "scale": study.scale.value,
                "paper": tables.paper_value(study.experiment, cell, metric),
            }


def _index_row(study: StandaloneStudy, folder: Path) -> tables.IndexRow:
    name = f"[{study.name}]({study.page})" if study.files(folder) else study.name
    return name, study.title, "-", "-", "-", study.state(folder)


def _plot(study: Study, folder: Path) -> str | None:
    """Path of the study's plot in `folder`; None if there is nothing to draw."""
    try:
        from lab.harness import plots
    except ImportError as error:
        raise InvalidInput("plots need matplotlib: pip install matplotlib") from error
    drawn = plots.draw(study)
    if drawn is None:
        return None
    name = f"{PLOTS}/{study.name}.svg"
    write_whole(folder / name, drawn)
    return name
