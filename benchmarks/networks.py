"""Texts and images a second through the frozen public networks, on one core.

`python -m benchmarks.networks` (`make bench-networks`) measures the processor's time of one thread,
so that other work on the machine hardly matters: random texts of 256 tokens, the most that is read
of one, and random images of 32 x 32 at the sides that requests use. Median of the runs, and the
fastest. The last line says what bounds the texts: the arithmetic of each, and how fast the core
multiplies plain matrices.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from fedpact.features.networks.efficientnet import efficientnet_lite0
from fedpact.features.networks.minilm import minilm
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM, Tensors
from fedpact.features.networks.sentences import TOKENS
from fedpact.features.networks.session import FrozenSession

RUNS = 30
SIDES = (96, 128, 160, 224)
MATRIX = 1_500
"""Rows and columns of plain matrices."""


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
    tensors = MINILM.load()
    texts = FrozenSession(minilm(tensors, TOKENS))
    tokens = random.integers(1_000, 30_000, (1, TOKENS))
    usual, best = per_second(lambda: texts.run(tokens))
    print(f"| {MINILM.name}, {TOKENS} tokens | {usual:.1f} | {best:.1f} |")
    image = random.random((1, 3, 32, 32), dtype=np.float32)
    for side in SIDES:
        images = FrozenSession(efficientnet_lite0(EFFICIENTNET_LITE0.load(), (3, 32, 32), side))
        usual, best = per_second(lambda one=images: one.run(image))  # type: ignore[misc]
        print(f"| {EFFICIENTNET_LITE0.name}, {side} pixels | {usual:.1f} | {best:.1f} |")
    matrix = random.random((MATRIX, MATRIX), dtype=np.float32)
    _, best = per_second(lambda: matrix @ matrix)
    print(f"\nGFLOP: a text {text_operations(tensors) / 1e9:.2f}", end="")
    print(f"; plain matrices {2 * MATRIX**3 * best / 1e9:.0f} a second and core")


def text_operations(tensors: Tensors) -> int:
    """Of the products of matrices for a text of TOKENS tokens: a multiplication and an addition for
    each weight and token, and for each value of a token's query and of its mix, and token."""
    weights = {n: one for n, one in tensors.items() if n.startswith("encoder.") and one.ndim == 2}
    queries = sum(len(one) for name, one in weights.items() if name.endswith("query.weight"))
    return 2 * TOKENS * (sum(one.size for one in weights.values()) + 2 * TOKENS * queries)


if __name__ == "__main__":
    main()
