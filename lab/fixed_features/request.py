"""A whole request for a linear model on scattering features, in at most 20 rounds under `sound`.

Unlike `training`, which has no limit on rounds, this runs what the daemons run: drafted noise, the
statistics round, updates bounded by their mechanism, votes on the evaluation set, the error ceiling
and server momentum on attested models. `simulate` runs it in one process; its global model equals
that of a run on chain byte for byte (tests/integration/test_families_on_chain.py).

Each data set's step was chosen on the public slice, which no provider holds and from which the
evaluation set is drawn: `python -m lab.fixed_features.training DATA --tune 19 ...`.
"""

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from fedpact.data import partition
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_stratified
from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import PUBLIC_EXAMPLES, public_slice
from fedpact.demo.drafts import DELTA, split
from fedpact.demo.drafts import draft as classifier_draft
from fedpact.demo.scattering_settings import FAMILY, ROUNDS, ServerStep
from fedpact.privacy.accounting import cost
from fedpact.privacy.releases import of_request
from fedpact.requester.draft import Draft
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, accuracy, noise, simulate
from lab.fixed_features.training import FEATURES, Private, Task


def draft(
    source: TrainTestData, providers: int, epsilon: float, step: ServerStep
) -> dict[str, Any]:
    """The draft of the request; `source` has images."""
    fields = classifier_draft(source, providers, ROUNDS, epsilon)
    fields["privacy"]["clipping_norm"] = step.clipping_norm
    family = {"name": FAMILY, "parameters": step.parameters}
    return fields | {"family": family, "local": step.local, "strategy": step.strategy}


def run_case(
    source: TrainTestData, epsilon: float, seed: int, providers: int, cut: str, step: ServerStep
) -> dict[str, Any]:
    """One request, tested once; partition, evaluation set and noise depend on the seed."""
    began = time.process_time()
    spec = Draft(draft(source, providers, epsilon, step), on_chain=False).specification
    task = Task.of(source, FEATURES, bool(step.mirrored))
    parts = partition.named(cut, task.private.y, providers, seed)
    seats = [
        Seat(number, _dataset(task.private, rows), SimulatedProvider())
        for number, rows in enumerate(parts)
    ]
    result = simulate(
        spec,
        seats,
        _slices(task, source, seed),
        lambda provider, number: noise(seed, provider, number),
    )
    schedule = of_request(spec)
    assert schedule is not None
    return {
        "accuracy": accuracy(spec, result.model, _dataset(task.test, np.arange(len(task.test.y)))),
        "rounds": len(result.rounds),
        "examples": [len(rows) for rows in parts],
        "rounds_left_out": [result.times_excluded(seat) for seat in range(providers)],
        "points": result.points,
        "step": asdict(step),
        "noise_multiplier": spec.privacy.noise_multiplier,
        "statistics_multiplier": spec.privacy.statistics_multiplier,
        "privacy": {**asdict(cost(schedule, DELTA)), "adjacency": "zero-out"},
        "covers": "a sum of features and 19 sums of gradients of each provider by itself",
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def _slices(task: Task, source: TrainTestData, seed: int) -> list[Dataset]:
    """The evaluation slices, from the public slice, balanced over the labels."""
    _, chosen = split(source, ROUNDS, seed, PUBLIC_EXAMPLES)
    public, _ = public_slice(len(source.y_train), PUBLIC_EXAMPLES)
    rows = np.searchsorted(public, chosen)
    cuts = cut_stratified(task.public.y[rows], ROUNDS, np.random.default_rng(seed))
    return [_dataset(task.public, rows[cut]) for cut in cuts]


def _dataset(held: Private, rows: "np.ndarray[Any, np.dtype[np.int64]]") -> Dataset:
    return Dataset(held.x[rows], held.y[rows], ())
