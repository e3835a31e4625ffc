"""Texts and images a second through the frozen public networks, on one core.

`python -m benchmarks.networks` (`make bench-networks`) measures the processor's time of one thread,
so that other work on the machine hardly matters: random texts of 256 tokens, the most that is read
of one, and random images of 32 x 32 at the sides that requests use. Median of the runs, and the
fastest.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from fedpact.features.networks.efficientnet import efficientnet_lite0
from fedpact.features.networks.minilm import minilm
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM
from fedpact.features.networks.sentences import TOKENS
from fedpact.features.networks.session import FrozenSession

RUNS = 30
SIDES = (96, 128, 160, 224)


def per_second(work: Callable[[], object]) -> tuple[float, float]:
    """Runs a second: of the median one, and of the fastest."""
    work()
    seconds = []
    for _ in range(RUNS):
        began = time.thread_time()
        work()
        seconds.append(time.thread_time() - began)
    return 1 / median(seconds), 1 / min(seconds)


def main() -> None:
    torch.set_flush_denormal(True)
    random = np.random.default_rng(0)
    print("| network | examples a second and core | fastest |")
    print("|---|---|---|")
    texts = FrozenSession(minilm(MINILM.load(), TOKENS))
    tokens = random.integers(1_000, 30_000, (1, TOKENS))
    usual, best = per_second(lambda: texts.run(tokens))
    print(f"| {MINILM.name}, {TOKENS} tokens | {usual:.1f} | {best:.1f} |")
    image = random.random((1, 3, 32, 32), dtype=np.float32)
    for side in SIDES:
        images = FrozenSession(efficientnet_lite0(EFFICIENTNET_LITE0.load(), (3, 32, 32), side))
        usual, best = per_second(lambda one=images: one.run(image))  # type: ignore[misc]
        print(f"| {EFFICIENTNET_LITE0.name}, {side} pixels | {usual:.1f} | {best:.1f} |")


if __name__ == "__main__":
    main()
