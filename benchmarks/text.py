"""Seconds from raw text to a noised release and to the global model: docs/results/text.json.

    FEDPACT_DATA=... python -m benchmarks.text --json docs/results/text.json

One process, one thread; seconds are the thread's processor time, so that other work on the machine
does not count. 20 Newsgroups with headers in label-sorted shards for 9 and 3 providers:
tokens, rows, class sums and noise from the operating system for each provider, then the combination
and the discriminant. What is loaded once in a daemon's life (public word frequencies) is timed by
itself. Then the cost against the number of documents, by repeating the collection, with the peak
memory of the process.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from fedpact.data.newsgroups import newsgroups
from fedpact.data.partition import SHARDS_EACH, shards
from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.hashing import HashedBag
from fedpact.learning import text_statistics
from fedpact.learning.artefact import Model
from fedpact.learning.discriminant import solve
from fedpact.learning.text_statistics import StatisticsLayout
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.noise import SystemNoise

TARGETS = {9: 0.500, 3: 0.880}
"""Seconds a provider at so many providers."""
TRAINING_TARGET = 0.100
BLOCK = 4_096
"""Documents whose rows are in memory at once."""
MEMORY_TARGET_MB = 500
CURVE = (1_000, 3_000, 10_000, 30_000, 100_000)
BAG = HashedBag()


def provider(
    layout: StatisticsLayout, texts: list[str], y: "np.ndarray[Any, Any]", multiplier: float
) -> tuple[Model, float, float]:
    """The release, seconds for the rows, seconds for sums and noise."""
    represented = 0.0

    def blocks() -> Iterator[text_statistics.Block]:
        nonlocal represented
        for start in range(0, len(texts), BLOCK):
            began = time.process_time()
            rows = BAG.rows(texts[start : start + BLOCK])
            represented += time.process_time() - began
            yield rows, y[start : start + BLOCK], None

    began = time.process_time()
    release = text_statistics.release_of_blocks(
        layout, blocks(), noise_multiplier=multiplier, noise=SystemNoise()
    ).model()
    return release, represented, time.process_time() - began - represented


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    began = time.process_time()
    BAG.weights()
    once = time.process_time() - began
    source = newsgroups()
    layout = StatisticsLayout(len(source.labels), BAG.width)
    multiplier = calibrate(2.0, 1e-5, 1, 1.0)

    runs, met = {}, True
    for providers, target in TARGETS.items():
        seconds: dict[str, list[float]] = {"rows": [], "sums": [], "total": [], "aggregation": []}
        for repeat in range(given.repeats):
            models = {}
            for seat, shard in enumerate(shards(source.y_train, providers, SHARDS_EACH, repeat)):
                texts = [source.train[index] for index in shard]
                models[seat], rows, sums = provider(
                    layout, texts, source.y_train[shard], multiplier
                )
                seconds["rows"].append(rows)
                seconds["sums"].append(sums)
                seconds["total"].append(rows + sums)
            began = time.process_time()
            combined = text_statistics.combine(layout, models, multiplier)
            solve(layout, combined, bucket_frequencies(BAG.bits))
            seconds["aggregation"].append(time.process_time() - began)
        found = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
        found |= {
            "documents_each": len(source.train) // providers,
            "largest_total": round(max(seconds["total"]), 4),
            "target_total": target,
            "training_and_aggregation": round(found["sums"] + found["aggregation"], 4),
        }
        met &= found["total"] <= target and found["training_and_aggregation"] <= TRAINING_TARGET
        runs[str(providers)] = found
        print(providers, "providers:", found)

    curve = []
    for documents in CURVE:
        texts = [source.train[index % len(source.train)] for index in range(documents)]
        y = source.y_train[np.arange(documents) % len(source.train)]
        _, rows, sums = provider(layout, texts, y, multiplier)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        curve.append(
            {
                "documents": documents,
                "seconds": round(rows + sums, 3),
                "peak_memory_mb": round(peak),
            }
        )
        met &= peak < MEMORY_TARGET_MB
        print(curve[-1])
    if given.json is not None:
        result = {
            "what": "raw text to noised release, processor seconds of one thread, medians",
            "load_public_words_once": round(once, 3),
            "providers": runs,
            "curve": curve,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load_average": os.getloadavg()[0],
            "versions": {
                name: version(name) for name in ("numpy", "scipy", "scikit-learn", "wordfreq")
            },
        }
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
