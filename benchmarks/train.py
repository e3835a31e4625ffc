"""Speed of local training in epochs, compared with the same loop in plain torch.

`make bench-train` writes docs/results/train.json. Both loops run in one process on one thread,
turn by turn, on the same examples, batches and first model; a pair's ratio is fedpact's seconds
over torch's, in processor time, so other load on the machine matters little. Both must end
with the same model, or nothing is measured.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from fedpact.data.dataset import Dataset
from fedpact.demo.drafts import WINDOWS
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.local_training import batch_order, train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.requester.draft import Draft
from fedpact.types.local_training import LocalEpochs
from fedpact.types.specification import Specification

PAIRS = 30
WARM_UP = 2
EXAMPLES = 640
LABELS = 10
CASES = {
    "mlp": ({"name": "mlp", "parameters": {"hidden": [64, 32]}}, (28, 28)),
    "cnn": (
        {"name": "cnn", "parameters": {"form": "cifar10", "channels": [16, 32], "hidden": [64]}},
        (3, 32, 32),
    ),
}
LOCAL = {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, "momentum": 0.8}
LARGEST_RATIO = 1.10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = {name: measure(name, arguments.pairs) for name in CASES}
    found = {
        "local_training_over_plain_torch": result,
        "at_most": LARGEST_RATIO,
        "met": all(one["median_ratio"] <= LARGEST_RATIO for one in result.values()),
        "examples": EXAMPLES,
        "local": LOCAL,
        "versions": {
            "python": platform.python_version(),
            "torch": version("torch"),
            "fedpact": version("fedpact"),
        },
        "cores": os.cpu_count(),
        "threads": 1,
    }
    Console().print_json(data=found)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def measure(name: str, pairs: int) -> dict[str, float]:
    """Ratios of `pairs` pairs, the first of a pair in turn; seconds are medians."""
    asked, shape = CASES[name]
    spec = _specification(asked, shape)
    generator = np.random.default_rng(0)
    x = generator.random((EXAMPLES, *shape), dtype=np.float32)
    dataset = Dataset(x, generator.integers(0, LABELS, EXAMPLES), ())
    start = family_of(spec).initial(spec, seed=0)

    def ours() -> Model:
        return train_local(LocalTraining(spec, start, dataset, noise=None, round_and_seat=(1, 0)))

    def plain() -> Model:
        return plain_torch(spec, start, dataset)

    _check_equal(ours(), plain())
    seconds: dict[Callable[[], Model], list[float]] = {ours: [], plain: []}
    for pair in range(-WARM_UP, pairs):
        for loop in (ours, plain) if pair % 2 else (plain, ours):
            began = time.process_time()
            loop()
            if pair >= 0:
                seconds[loop].append(time.process_time() - began)
    ratios = [a / b for a, b in zip(seconds[ours], seconds[plain], strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "median_ratio": round(median, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "least": round(min(ratios), 4),
        "largest": round(max(ratios), 4),
        "pairs": pairs,
        "seconds_fedpact": round(statistics.median(seconds[ours]), 4),
        "seconds_plain_torch": round(statistics.median(seconds[plain]), 4),
    }


def plain_torch(spec: Specification, start: Model, dataset: Dataset) -> Model:
    """What one writes without fedpact: the module, channels last, torch.optim.SGD, shuffled
    batches."""
    assert isinstance(spec.local, LocalEpochs)
    module = family_of(spec).module(spec)
    module.load_state_dict({name: torch.tensor(values) for name, values in start.items()})
    module.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        module.parameters(), lr=spec.local.learning_rate, momentum=spec.local.momentum
    )
    x, y = torch.from_numpy(dataset.x), torch.from_numpy(dataset.y)
    generator = batch_order(spec.local, 1, 0)
    module.train()
    for _ in range(spec.local.epochs):
        order = torch.from_numpy(generator.permutation(len(y)))
        for batch in order.split(spec.local.batch_size):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimizer.step()
    return {name: one.detach().numpy() for name, one in module.state_dict().items()}


def _check_equal(ours: Model, plain: Model) -> None:
    for name, values in ours.items():
        if not np.array_equal(values, plain[name]):
            raise SystemExit(f"the loops differ in {name}: they do not do the same work")


def _specification(asked: dict[str, object], shape: tuple[int, ...]) -> Specification:
    return Draft(
        {
            "title": "bench",
            "category": "bench",
            "labels": [str(label) for label in range(LABELS)],
            "features": {"shape": list(shape)},
            "family": asked,
            "local": LOCAL,
            "rounds": 1,
            "min_providers": 2,
            "max_providers": 2,
            "score": "model",
            "max_error": 10_000,
            "privacy": {"mode": "none"},
            "windows": WINDOWS,
        },
        on_chain=False,
    ).specification


if __name__ == "__main__":
    main()
