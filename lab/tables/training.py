"""The family on a table: a request of three providers, or all rows at one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_at_random, cut_stratified
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.server_step import next_global
from fedpact.learning.splits import Questions
from fedpact.learning.strategies import Globals
from fedpact.learning.training_inputs import LocalTraining
from fedpact.requester.draft import Draft
from fedpact.requester.draft_defaults import shares
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, noise, simulate
from fedpact.types.specification import Specification
from lab.tables.tasks import PROVIDERS, TableTask

DELTA = 1e-5
ROUNDS = 10


@dataclass(frozen=True)
class Step:
    """Size of the model, and what one round does."""

    trees: int
    steps: int
    """Local steps of a round, full batch."""
    rate: float
    clipping: float
    momentum: float = 0.9
    """The server's where a round is one step, else that of the local steps."""
    depth: int = 3
    rounds: int = ROUNDS
    numbers: float | None = None
    """The share of questions that begin with a column of numbers."""
    questions: Questions = "any"


def specification(task: TableTask, epsilon: float | None, step: Step) -> Specification:
    """The request. Values are fitted by squares, under privacy by their median, whose gradients are
    bounded by themselves."""
    loss = {"loss": "quantile"} if epsilon is not None and not task.labels else {}
    asked: dict[str, Any] = {} if step.numbers is None else {"numbers": step.numbers}
    size = {"trees": step.trees, "depth": step.depth}
    if step.questions != "any":
        asked["questions"] = step.questions
    parameters = {**size, "priors": list(priors(task)), **loss, **asked}
    fields: dict[str, Any] = {
        "title": f"A model of {task.name}",
        "category": f"tables/{task.name}",
        "task": task.task,
        "labels": list(task.labels),
        "metric": task.metric,
        "features": {
            "shape": [sum(one.width for one in task.columns)],
            "table": [one.model_dump(mode="json") for one in task.columns],
        },
        "family": {"name": "oblivious-trees", "parameters": parameters},
        "strategy": {
            "name": "fedavgm",
            "parameters": {"momentum": 0.0 if step.steps > 1 else step.momentum},
        },
        "local": {
            "steps": step.steps,
            "learning_rate": step.rate,
            "momentum": step.momentum if step.steps > 1 else 0.0,
        },
        "rounds": step.rounds,
        "min_providers": 2,
        "max_providers": PROVIDERS,
        "score": "contribution",
        "max_error": 5000,
        "privacy": {"mode": "none"},
    }
    if not task.labels:
        fields["output"] = {"column": "y", "scale": task.scale}
    if epsilon is not None:
        fields["privacy"] = {
            "mode": "sound",
            "epsilon": epsilon,
            "delta": DELTA,
            "clipping_norm": step.clipping,
        }
    return Draft(fields, on_chain=False).specification


def federated(spec: Specification, task: TableTask, seed: int) -> Model:
    """Three providers, each with noise of its own, judged and aggregated as on the chain."""
    random = np.random.default_rng([seed, 11])
    held = task.evaluation
    cuts = (
        cut_stratified(held.y, spec.rounds, random)
        if task.labels
        else cut_at_random(len(held), spec.rounds, random)
    )
    slices = [Dataset(held.x[rows], held.y[rows], ()) for rows in cuts]
    seats = [Seat(number, part, SimulatedProvider()) for number, part in enumerate(task.parts)]
    return simulate(spec, seats, slices, lambda who, when: noise(seed, who, when)).model


def together(spec: Specification, data: Dataset, seed: int) -> Model:
    """The same steps with all rows at one party, under the same privacy: no split, no votes."""
    model = family_of(spec).initial(spec, 0)
    initial, before = model, None
    for number in range(1, spec.rounds + 1):
        source = noise(seed, 0, number)
        given = LocalTraining(spec, model, data, noise=source, round_and_seat=(number, 0))
        after = train_local(given)
        known = Globals(initial=initial, start=model, before=before)
        before, (model, _) = model, next_global(spec, number, known, after, {}, 1)
    return model


def priors(task: TableTask) -> Sequence[float]:
    """Shares of the labels in the requester's evaluation set, or its mean value, to two digits."""
    y = task.evaluation.y
    if not task.labels:
        return [float(f"{float(y.mean()) * task.scale:.2g}")]
    return shares(y, len(task.labels))
