"""Trees on texts: Lu et al.'s boosted trees on graph vectors, forests, and sound random splits.

Providers hold label-sorted shards. Modes: `none`; `paper`, Laplace noise of scale 1 / epsilon on
the vectors, drawn once, and on the leaf values, the epsilon being the paper's claim, no guarantee;
`sound`, random splits with noised counts. In modes `none` and `paper` the graphs' terms are chosen
from the training texts themselves and not charged; `sound` uses public words alone.

    python -m fedpact.experiments.text_trees 20newsgroups --method parallel --json FILE
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from fedpact.experiments.text_collections import Measured, collection, label_sorted, measured
from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.graphs import serialised, vocabulary
from fedpact.features.text.hashing import HashedBag
from fedpact.learning.algorithm_one import BoostingParticipant, PaperNoise, algorithm_one
from fedpact.learning.trees import training
from fedpact.learning.trees.ensemble import Ensemble, empty, softmax, union
from fedpact.learning.trees.random_splits import RandomForestLayout, noised_counts, voting
from fedpact.learning.trees.training import Growth
from fedpact.privacy.accounting import calibrate, gaussian_epsilon
from fedpact.privacy.noise import SeededNoise

DELTA = 1e-5
TERMS = 256
METHODS = ("parallel", "sequential", "forest", "tree", "sound")
GROWTH = Growth(depth=6, features=0.1, learning_rate=0.3)
TREES_EACH = 2
"""Boosted trees that a participant adds in an iteration."""
FOREST_TREES = 60
BAG = HashedBag(bits=14)
SOUND_TREES, SOUND_DEPTH = 1_000, 3
WORDS_OF_A_TEXT = 200.0
"""Public guess that turns a word's frequency into the chance that a text has it."""


def run_case(
    data: str,
    providers: int,
    method: str,
    seed: int,
    *,
    epsilon: float | None = None,
    iterations: int = 10,
    terms: int = TERMS,
) -> dict[str, Any]:
    """One federation; quality on the test documents, seconds.

    method: `parallel` and `sequential` are Algorithm 1 with boosted trees (with `epsilon`: mode
    `paper`), `forest` and `tree` one union without noise, `sound` random splits (with `epsilon`).
    """
    began = time.perf_counter()
    if method == "sound":
        quality, privacy, curve = _sound(data, providers, seed, epsilon)
    elif method in ("parallel", "sequential"):
        quality, privacy, curve = _boosted(
            data, providers, method, seed, epsilon, iterations, terms
        )
    else:
        quality, privacy, curve = _grown(data, providers, method, seed, terms)
    return {
        "data": data,
        "providers": providers,
        "method": method,
        "seed": seed,
        "metrics": asdict(quality),
        "curves": {"accuracy": curve},
        "privacy": privacy,
        "details": {"seconds": time.perf_counter() - began, "terms": terms},
    }


Result = tuple[Measured, Mapping[str, Any], list[float]]


def _boosted(
    data: str,
    providers: int,
    reading: str,
    seed: int,
    epsilon: float | None,
    iterations: int,
    terms: int,
) -> Result:
    source = collection(data)
    train, test = _graphs(data, terms)
    labels = len(source.labels)
    noise = None if epsilon is None else PaperNoise(epsilon)
    participants = [
        BoostingParticipant(
            train[places],
            source.y_train[places],
            labels,
            trees=TREES_EACH,
            growth=GROWTH,
            seed=1_000 * seed + seat,
            noise=noise,
        )
        for seat, places in enumerate(label_sorted(source.y_train, providers, seed))
    ]

    def accuracy(model: Ensemble) -> float:
        return measured(softmax(model.output(test)), source.y_test).accuracy

    found = algorithm_one(
        participants,
        empty(GROWTH.depth, labels),
        accuracy,
        reading="parallel" if reading == "parallel" else "sequential",
        threshold=1.0,
        iterations=iterations,
    )
    privacy: dict[str, Any] = {"mode": "none"}
    if epsilon is not None:
        privacy = {"mode": "paper", "claimed_epsilon_not_guaranteed": epsilon}
    curve = [one.accuracy for one in found.progress]
    return measured(softmax(found.model.output(test)), source.y_test), privacy, curve


def _grown(data: str, providers: int, method: str, seed: int, terms: int) -> Result:
    source = collection(data)
    train, test = _graphs(data, terms)
    labels = len(source.labels)
    parts = label_sorted(source.y_train, providers, seed)
    models = []
    for seat, places in enumerate(parts):
        rows, y, own = train[places], source.y_train[places], 1_000 * seed + seat
        if method == "forest":
            each = FOREST_TREES // providers
            models.append(training.random_forest(rows, y, labels, each, GROWTH, own))
        else:
            models.append(training.decision_tree(rows, y, labels, GROWTH, own))
    model = union(models, [len(places) / len(source.train) for places in parts])
    return measured(model.output(test), source.y_test), {"mode": "none"}, []


def _sound(data: str, providers: int, seed: int, epsilon: float | None) -> Result:
    source = collection(data)
    train, test = _bags(data)
    layout = RandomForestLayout(SOUND_TREES, SOUND_DEPTH, len(source.labels), seed)
    occurs = -np.expm1(-WORDS_OF_A_TEXT * bucket_frequencies(BAG.bits))
    splits = layout.splits(occurs * (1 - occurs) * BAG.weights())
    multiplier = 0.0 if epsilon is None else calibrate(epsilon, DELTA, 1, 1.0)
    released = [
        noised_counts(
            layout,
            splits,
            train[places],
            source.y_train[places],
            noise_multiplier=multiplier,
            noise=SeededNoise(1_000 * seed + seat) if multiplier else None,
        )
        for seat, places in enumerate(label_sorted(source.y_train, providers, seed))
    ]
    model = voting(layout, released, multiplier)
    scores = model.output(test) * SOUND_TREES
    # Trees repeat each other's evidence: scores of unit spread give the softmax its scale.
    quality = measured(softmax(scores / max(float(scores.std()), 1e-12)), source.y_test)
    if not multiplier:
        return quality, {"mode": "none"}, []
    privacy = {
        "mode": "sound",
        "epsilon": gaussian_epsilon(1 / multiplier, DELTA),
        "epsilon_replacement": gaussian_epsilon(np.sqrt(2) / multiplier, DELTA),
        "delta": DELTA,
        "unit": "record",
        "accountant": "closed form of the Gaussian mechanism",
    }
    return quality, privacy, []


@lru_cache(maxsize=2)
def _graphs(data: str, terms: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    source = collection(data)
    chosen = vocabulary(source.train, terms)
    return serialised(source.train, chosen), serialised(source.test, chosen)


@lru_cache(maxsize=2)
def _bags(data: str) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    source = collection(data)
    return BAG.rows(source.train), BAG.rows(source.test)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fedpact.experiments.text_trees")
    parser.add_argument("data")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--providers", type=int, nargs="+", default=[3])
    parser.add_argument("--epsilon", type=float, nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--terms", type=int, default=TERMS)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    given = parser.parse_args()
    cases = []
    for method in given.method:
        for epsilon in given.epsilon or [None]:
            for providers in given.providers:
                for seed in range(given.seeds):
                    case = run_case(
                        given.data,
                        providers,
                        method,
                        seed,
                        epsilon=epsilon,
                        iterations=given.iterations,
                        terms=given.terms,
                    )
                    cases.append(case)
                    shown = {name: round(one, 4) for name, one in case["metrics"].items()}
                    print(given.data, method, providers, epsilon, shown, case["details"])
    if given.json is not None:
        given.json.write_text(json.dumps(cases, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
