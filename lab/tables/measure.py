"""The figures of the study: the family federated and central, with and without privacy."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.types.specification import Specification
from lab.tables import baselines, training
from lab.tables.tasks import PROVIDERS, TableTask, bundled, failures, metric_of, torque
from lab.tables.training import Step

SEEDS = (0, 1, 2)
EPSILONS = (2.0, None)
TASKS: dict[str, Callable[[int], TableTask]] = {
    "maintenance": failures,
    "maintenance-torque": torque,
    "breast-cancer": bundled(load_breast_cancer, "auc"),
    "wine": bundled(load_wine, "accuracy"),
    "digits": bundled(load_digits, "accuracy"),
    "diabetes": bundled(load_diabetes, "mae", 100.0),
}
PRIVATE = Step(trees=256, steps=1, rate=200.0, clipping=0.3)
OPEN = Step(trees=256, steps=20, rate=60.0, clipping=0.3)
PRIVATE_MIXED = Step(
    trees=512,
    steps=1,
    rounds=20,
    rate=80.0,
    clipping=0.4,
    momentum=0.8,
    numbers=0.95,
    questions="pairs",
)
OPEN_MIXED = Step(trees=256, depth=5, steps=20, rate=60.0, clipping=0.3, numbers=0.95)
"""For classes by numbers and other columns."""
PRIVATE_VALUES = Step(trees=256, steps=1, rate=8.0, clipping=0.5)
OPEN_VALUES = Step(trees=256, steps=20, rate=3.0, clipping=0.5)
"""The private ones were chosen on the maintenance tables of seeds from 100, for all tables."""


def rows(
    names: list[str], seeds: list[int], on_run: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """One result a table and privacy mode, as soon as it is known."""
    for name in names:
        tasks = {seed: TASKS[name](seed) for seed in seeds}
        central = {seed: baselines.central(task, seed) for seed, task in tasks.items()}
        kinds = list(next(iter(central.values())))
        means = {kind: float(np.mean([one[kind] for one in central.values()])) for kind in kinds}
        best = (min if tasks[seeds[0]].metric == "mae" else max)(means, key=lambda k: means[k])
        for epsilon in EPSILONS:
            federated, together = [], []
            for seed, task in tasks.items():
                spec = training.specification(task, epsilon, step_of(task, epsilon))
                model = training.federated(spec, task, seed)
                federated.append(measured(spec, task, model))
                if epsilon is not None:
                    model = training.together(spec, task.training, seed)
                    together.append(measured(spec, task, model))
                on_run(f"{name}, epsilon {epsilon}, seed {seed}")
            yield {
                "dataset": name,
                "task": tasks[seeds[0]].task,
                "providers": PROVIDERS,
                "privacy": "none" if epsilon is None else "sound",
                "epsilon": epsilon,
                "metric": tasks[seeds[0]].metric,
                "mean": round(float(np.mean(federated)), 4),
                "std": round(float(np.std(federated, ddof=1)), 4) if len(seeds) > 1 else None,
                "seeds": len(seeds),
                "central_none": round(means[best], 4),
                "central_none_model": best,
                "central_private": round(float(np.mean(together)), 4) if together else None,
            }


def step_of(task: TableTask, epsilon: float | None) -> Step:
    if task.labels and any(one.type not in ("number", "integer") for one in task.columns):
        return OPEN_MIXED if epsilon is None else PRIVATE_MIXED
    if task.labels:
        return OPEN if epsilon is None else PRIVATE
    return OPEN_VALUES if epsilon is None else PRIVATE_VALUES


def missing(path: Path) -> list[str]:
    """Of the rows that all tables make, those that the file lacks or has of fewer seeds."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    known = {(one["dataset"], one["epsilon"]): one["seeds"] for one in rows}
    return [
        f"{name} at epsilon {epsilon:g}" if epsilon else f"{name} without privacy"
        for name in TASKS
        for epsilon in EPSILONS
        if known.get((name, epsilon), 0) < len(SEEDS)
    ]


def write(row: dict[str, Any], path: Path, key: str = "privacy") -> None:
    """Into the file, in place of an earlier row of the same table and `key`."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    found = {(one["dataset"], one[key]): one for one in [*known, row]}
    order = {name: place for place, name in enumerate(TASKS)}
    ordered = sorted(found.values(), key=lambda one: (order[one["dataset"]], one[key]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def measured(spec: Specification, task: TableTask, model: Model) -> float:
    """The task's metric of a model on the test rows."""
    return metric_of(task, family_of(spec).predict(spec, model, task.test.x))
