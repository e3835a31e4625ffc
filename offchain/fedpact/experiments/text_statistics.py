"""Accuracy of one-round text statistics over epsilon and the number of providers.

Each of 3, 6 or 9 providers holds two label-sorted shards of a collection, noises its own class sums
and releases once; all that is released is charged, delta 1e-5, one document the unit. What stands
in HashedBag, StatisticsLayout and discriminant is the same for all collections and was chosen,
uncharged, on every fifth training document, held out (`--held-out` shows those figures); but the
form of the discriminant and two constants of the bag were first explored on test documents.

    python -m fedpact.experiments.text_statistics 20newsgroups --providers 3 6 9 --epsilon 2 5 \
        --seeds 3 --json FILE
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
from numpy.typing import NDArray
from scipy import sparse

from fedpact.experiments.text_collections import collection, label_sorted, measured
from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.hashing import HashedBag
from fedpact.features.text.vectors import WIDTH, dense_rows
from fedpact.learning import text_statistics
from fedpact.learning.discriminant import solve
from fedpact.learning.text_statistics import StatisticsLayout
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.noise import SeededNoise

DELTA = 1e-5
BAG = HashedBag()

Rows = tuple[sparse.csr_matrix, NDArray[np.float32] | None]


def run_case(
    data: str,
    providers: int,
    epsilon: float | None,
    seed: int,
    *,
    vectors: bool = False,
    held_out: bool = False,
) -> dict[str, Any]:
    """One federation: quality on the test documents, cost, seconds.

    Args:
        data: a name in `text_collections.COLLECTIONS`.
        epsilon: None without privacy.
        seed: of shards and noise; the noise of public data may be repeatable.
        vectors: whether the public word table's dense rows take part.
        held_out: test on a held-out part of the training documents instead.
    """
    source = collection(data, held_out=held_out)
    train, test = _rows(data, held_out, vectors)
    layout = StatisticsLayout(len(source.labels), BAG.width, WIDTH if vectors else 0)
    multiplier = 0.0 if epsilon is None else calibrate(epsilon, DELTA, 1, 1.0)
    models = {}
    training = 0.0
    for seat, places in enumerate(label_sorted(source.y_train, providers, seed)):
        began = time.perf_counter()
        dense = None if train[1] is None else train[1][places]
        models[seat] = text_statistics.release(
            layout,
            train[0][places],
            source.y_train[places],
            dense,
            noise_multiplier=multiplier,
            noise=SeededNoise(1_000 * seed + seat) if multiplier else None,
        ).model()
        training += time.perf_counter() - began
    began = time.perf_counter()
    combined = text_statistics.combine(layout, models, multiplier)
    found = solve(layout, combined, bucket_frequencies(BAG.bits))
    aggregating = time.perf_counter() - began
    quality = measured(found.predict(*test), source.y_test)
    return {
        "data": data,
        "providers": providers,
        "seed": seed,
        "vectors": vectors,
        "metrics": asdict(quality),
        "privacy": _privacy(layout, multiplier),
        "details": {
            "documents": len(source.train),
            "noise_multiplier": multiplier,
            "seconds_release_each": training / providers,
            "seconds_aggregation": aggregating,
        },
    }


def _privacy(layout: StatisticsLayout, multiplier: float) -> Mapping[str, Any]:
    if multiplier == 0:
        return {"mode": "none"}
    spent = text_statistics.cost(layout, multiplier, DELTA)
    return {"mode": "sound", **asdict(spent)}


@lru_cache(maxsize=2)
def _rows(data: str, held_out: bool, vectors: bool) -> tuple[Rows, Rows]:
    source = collection(data, held_out=held_out)
    dense = [dense_rows(texts) if vectors else None for texts in (source.train, source.test)]
    return (BAG.rows(source.train), dense[0]), (BAG.rows(source.test), dense[1])


def summary(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and spread over the seeds of each setting."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for case in cases:
        epsilon = case["privacy"].get("epsilon")
        key = (case["data"], case["vectors"], case["providers"], epsilon)
        groups.setdefault(key, []).append(case)
    rows = []
    for (data, vectors, providers, epsilon), group in groups.items():
        areas = np.array([case["metrics"]["macro_auc"] for case in group])
        rows.append(
            {
                "data": data,
                "vectors": vectors,
                "providers": providers,
                "epsilon": epsilon,
                "epsilon_replacement": group[0]["privacy"].get("epsilon_replacement"),
                "seeds": len(group),
                "macro_auc": round(float(areas.mean()), 4),
                "least_macro_auc": round(float(areas.min()), 4),
                "accuracy": round(float(np.mean([one["metrics"]["accuracy"] for one in group])), 4),
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fedpact.experiments.text_statistics")
    parser.add_argument("data", nargs="+")
    parser.add_argument("--providers", type=int, nargs="+", default=[3, 6, 9])
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 2.0, 5.0, float("inf")])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--vectors", action="store_true", help="with the public word table")
    parser.add_argument("--held-out", action="store_true", help="test on training documents")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    given = parser.parse_args()
    cases = [
        run_case(
            data,
            providers,
            None if np.isinf(epsilon) else epsilon,
            seed,
            vectors=given.vectors,
            held_out=given.held_out,
        )
        for data in given.data
        for epsilon in given.epsilon
        for providers in given.providers
        for seed in range(given.seeds)
    ]
    rows = summary(cases)
    for row in rows:
        print(*(f"{name} {value}" for name, value in row.items()), sep=", ")
    if given.json is not None:
        given.json.write_text(json.dumps({"summary": rows, "cases": cases}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
