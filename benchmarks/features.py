"""Seconds and memory for the scattering features of CIFAR-10's 60,000 images.

`make bench-features` writes docs/results/features.json. The images are random: the transform does
the same work for any values. The cache starts empty, in a temporary folder.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from fedpact.features.cache import scattering_features

SHAPE = (3, 32, 32)


def measure(images: int) -> dict[str, float]:
    """Wall and CPU seconds, peak resident memory in GB, size of the cache in GB."""
    x = np.random.default_rng(0).random((images, *SHAPE), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        features = scattering_features(x, Path(folder))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = features.nbytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "images": images,
        "cores": os.cpu_count() or 0,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_memory_gb": round(peak / 1e9, 2),
        "cache_gb": round(size / 1e9, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = json.dumps(measure(arguments.images), indent=2)
    print(found)
    if arguments.json is not None:
        arguments.json.write_text(found + "\n")


if __name__ == "__main__":
    main()
