"""Time of one private epoch of the CNN: beside none, and beside Opacus' PrivacyEngine.

`make bench-dp` writes docs/results/dp.json. All three train the same network on the same random
images in batches of the same size, one after another on one thread, in CPU seconds; the private
ones clip each example and noise each step. fedpact's noise is its own, from the operating system;
Opacus' is torch's generator, which its authors call not cryptographically safe.
"""

import argparse
import copy
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fedpact.learning.dp_training import clipped_gradient_sum
from fedpact.learning.families.cnn import FORMS, ConvolutionalNetwork
from fedpact.privacy.noise import SystemNoise

SHAPES = {"mnist": ((28, 28), 1, 64 * 7 * 7), "cifar10": ((3, 32, 32), 3, 64 * 8 * 8)}
LABELS = 10
CLIPPING_NORM, NOISE_MULTIPLIER, LEARNING_RATE = 1.0, 1.0, 0.1
REPEATS = 3

Data = tuple[torch.Tensor, torch.Tensor]
Epoch = Callable[[nn.Module, Data, int], None]


def summed(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, y, reduction="sum")


def without_privacy(network: nn.Module, data: Data, batch: int) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    for x, y in zip(*(part.split(batch) for part in data), strict=True):
        optimizer.zero_grad()
        (summed(network(x), y) / batch).backward()
        optimizer.step()


def by_fedpact(network: nn.Module, data: Data, batch: int) -> None:
    noise = SystemNoise()
    for x, y in zip(*(part.split(batch) for part in data), strict=True):
        total = clipped_gradient_sum(network, x, y, summed, CLIPPING_NORM)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                noised = noise.add(total[name], NOISE_MULTIPLIER * CLIPPING_NORM)
                parameter -= LEARNING_RATE / batch * torch.from_numpy(noised).float()


def by_opacus(network: nn.Module, data: Data, batch: int) -> None:
    from opacus import PrivacyEngine

    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    private, optimizer, loader = PrivacyEngine().make_private(
        module=network,
        optimizer=optimizer,
        data_loader=DataLoader(TensorDataset(*data), batch_size=batch),
        noise_multiplier=NOISE_MULTIPLIER,
        max_grad_norm=CLIPPING_NORM,
        poisson_sampling=False,
    )
    criterion = nn.CrossEntropyLoss()
    for x, y in loader:
        optimizer.zero_grad()
        criterion(private(x), y).backward()
        optimizer.step()


EPOCHS: dict[str, Epoch] = {
    "without privacy": without_privacy,
    "fedpact": by_fedpact,
    "opacus": by_opacus,
}


def measure(form: str, examples: int, batch: int) -> dict[str, float]:
    """CPU seconds of the fastest of REPEATS epochs each, and their ratios."""
    shape, inputs, pooled = SHAPES[form]
    channels, hidden = FORMS[form]
    torch.manual_seed(0)
    network = ConvolutionalNetwork(inputs, channels, pooled, hidden, LABELS, nn.ReLU)
    data = torch.randn(examples, *shape), torch.randint(0, LABELS, (examples,))
    seconds = {name: float("inf") for name in EPOCHS}
    for _ in range(REPEATS):  # in turns, so that a busy machine is so for all three
        for name, epoch in EPOCHS.items():
            copied = copy.deepcopy(network)
            began = time.process_time()
            epoch(copied, data, batch)
            seconds[name] = min(seconds[name], time.process_time() - began)
    ours = seconds["fedpact"]
    return {
        **{f"{name}, seconds": round(value, 2) for name, value in seconds.items()},
        "fedpact over without privacy": round(ours / seconds["without privacy"], 2),
        "fedpact over opacus": round(ours / seconds["opacus"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=512)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # Opacus warns of its own hooks
    sizes = {"examples": arguments.examples, "batch": arguments.batch}
    found = {form: sizes | measure(form, **sizes) for form in SHAPES}
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
