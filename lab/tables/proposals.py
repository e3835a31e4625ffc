"""Whether what `fedpact request new` proposes for a table is what serves it best.

All that it tries (`requester.candidates`) is estimated on the evaluation set, as it does, and then
trained by the three providers and measured on the test rows, which no estimate has seen.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fedpact.errors import DataError
from fedpact.requester.candidates import FamilyCandidate, candidates
from fedpact.requester.draft import Draft
from fedpact.simulation.expectation import expected
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification
from lab.tables import measure, training
from lab.tables.measure import TASKS, measured
from lab.tables.tasks import PROVIDERS, TableTask

EPSILON = 2.0


def rows(
    names: list[str], seeds: list[int], on_run: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """One result a table of classes and seed; none of a table whose evaluation set is too small for
    an estimate. Of a regression there is one candidate alone."""
    for name in names:
        for seed in seeds:
            task, estimates, reached = TASKS[name](seed), {}, {}
            if not task.labels:
                continue
            try:
                for one in candidates(_schema(task), EPSILON):
                    spec = _specification(task, one)
                    units = int(np.mean([len(part) for part in task.parts]))
                    seen = expected(spec, task.evaluation, PROVIDERS, units)
                    estimates[one.name] = round(seen.error, 4)
                    model = training.federated(spec, task, seed)
                    reached[one.name] = round(measured(spec, task, model), 4)
            except DataError as error:
                on_run(f"{name}, seed {seed}: {error}")
                continue
            yield {
                "dataset": name,
                "seed": seed,
                "metric": task.metric,
                "proposed": min(estimates, key=lambda one: estimates[one]),
                "best": max(reached, key=lambda one: reached[one]),
                "estimated_errors": estimates,
                "reached": reached,
            }


def write(row: dict[str, Any], path: Path) -> None:
    """Into the file, in place of an earlier row of the same table and seed."""
    measure.write(row, path, "seed")


def _schema(task: TableTask) -> DataSchema:
    return DataSchema(
        data_id="0" * 32,
        category=f"tables/{task.name}",
        units=len(task.training),
        unit="record",
        labels=task.labels,
        columns=task.columns,
    )


def _specification(task: TableTask, one: FamilyCandidate) -> Specification:
    family = one.fields["family"]
    parameters = {**family["parameters"], "priors": list(training.priors(task))}
    fields = {
        **one.fields,
        "family": {**family, "parameters": parameters},
        "metric": task.metric,
        "max_providers": PROVIDERS,
    }
    return Draft(fields, on_chain=False).specification
