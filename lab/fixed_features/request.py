"""A whole request for a linear model on scattering features, in at most 20 rounds under `sound`.

What `privacy_fixed_features` trains in as many rounds as it likes is here what the daemons run:
drafted noise, the round of statistics, updates bounded by their mechanism, votes on the evaluation
set, the gate, the server's momentum on attested models. In one process, by `simulate`, whose global
model is that of the chain to the byte (tests/integration/test_families_on_chain.py).

Each data set's step was chosen on the public slice, on which the evaluation set is drawn too and
which no provider holds: `python -m lab.fixed_features.training DATA --tune 19 ...`.
"""

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from fedpact.data import partition
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_evenly
from fedpact.data.sources import Source
from fedpact.data.splitting import PUBLIC_EXAMPLES, public_slice
from fedpact.demo.drafts import DELTA, split
from fedpact.demo.drafts import draft as classifier_draft
from fedpact.demo.scattering import FAMILY, ROUNDS, Step
from fedpact.privacy.accounting import cost
from fedpact.privacy.mechanisms import of_request
from fedpact.requester.draft import Draft
from fedpact.simulation.adversaries import Provider
from fedpact.simulation.request import Seat, accuracy, noise, simulate
from lab.fixed_features.training import FEATURES, Private, Task


def draft(source: Source, providers: int, epsilon: float, step: Step) -> dict[str, Any]:
    """The draft of the request; `source` has images."""
    fields = classifier_draft(source, providers, ROUNDS, epsilon)
    fields["privacy"]["clipping_norm"] = step.clipping_norm
    family = {"name": FAMILY, "parameters": step.parameters}
    return fields | {"family": family, "local": step.local, "strategy": step.strategy}


def run_case(
    source: Source, epsilon: float, seed: int, providers: int, cut: str, step: Step
) -> dict[str, Any]:
    """One request, tested once; the seed draws partition, evaluation set and noise."""
    began = time.process_time()
    spec = Draft(draft(source, providers, epsilon, step), on_chain=False).specification
    task = Task.of(source, FEATURES, bool(step.mirrored))
    parts = partition.named(cut, task.private.y, providers, seed)
    seats = [
        Seat(number, _dataset(task.private, places), Provider())
        for number, places in enumerate(parts)
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
        "examples": [len(places) for places in parts],
        "rounds_left_out": [result.times_excluded(seat) for seat in range(providers)],
        "points": result.points,
        "step": asdict(step),
        "noise_multiplier": spec.privacy.noise_multiplier,
        "statistics_multiplier": spec.privacy.statistics_multiplier,
        "privacy": {**asdict(cost(schedule, DELTA)), "adjacency": "zero-out"},
        "covers": "a sum of features and 19 sums of gradients of each provider by itself",
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def _slices(task: Task, source: Source, seed: int) -> list[Dataset]:
    """The evaluation set, cut: from the public slice, every label equally often."""
    _, chosen = split(source, ROUNDS, seed, PUBLIC_EXAMPLES)
    public, _ = public_slice(len(source.y_train), PUBLIC_EXAMPLES)
    places = np.searchsorted(public, chosen)
    cuts = cut_evenly(task.public.y[places], ROUNDS, np.random.default_rng(seed))
    return [_dataset(task.public, places[cut]) for cut in cuts]


def _dataset(held: Private, places: "np.ndarray[Any, np.dtype[np.int64]]") -> Dataset:
    return Dataset(held.x[places], held.y[places], ())
