"""CPU seconds of private training of the CNN, beside training without privacy and Opacus.

`make bench-dp` writes docs/results/dp.json. All train the same network on the same random images,
one step after another on one thread, in CPU seconds; a step takes all images. The private ones clip
each example and noise each step. fedpact's training is the product's own (`train_local`) with noise
from the operating system; Opacus' noise is torch's generator, which its authors call not
cryptographically safe. "Poisson sampled" draws nearly all images, so that a step is as large.
"""

import argparse
import copy
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fedpact.data.dataset import Dataset
from fedpact.demo.drafts import WINDOWS
from fedpact.learning.families.cnn import FORMS, ConvolutionalNetwork
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SystemNoise
from fedpact.requester.draft import Draft

SHAPES = {"mnist": ((28, 28), 1, 64 * 7 * 7), "cifar10": ((3, 32, 32), 3, 64 * 8 * 8)}
LABELS = 10
CLIPPING_NORM, NOISE_MULTIPLIER, LEARNING_RATE = 1.0, 1.0, 0.1
REPEATS = 3

Data = tuple[torch.Tensor, torch.Tensor]
Training = Callable[..., None]
"""(network, data, form, steps)."""


def without_privacy(network: nn.Module, data: Data, form: str, steps: int) -> None:
    x, y = data
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()


def by_fedpact(
    network: nn.Module, data: Data, form: str, steps: int, sampling_rate: float = 1.0
) -> None:
    x, y = data
    spec = Draft(
        {
            "title": "bench",
            "category": "bench",
            "labels": [str(label) for label in range(LABELS)],
            "features": {"shape": list(x.shape[1:])},
            "family": {"name": "cnn", "parameters": {"form": form}},
            "local": {
                "steps": steps,
                "learning_rate": LEARNING_RATE,
                "sampling_rate": sampling_rate,
            },
            "rounds": 1,
            "min_providers": 2,
            "max_providers": 2,
            "score": "model",
            "max_error": 10_000,
            "privacy": {
                "mode": "sound",
                "epsilon": 1.0,
                "delta": 1e-5,
                "clipping_norm": CLIPPING_NORM,
                "noise_multiplier": NOISE_MULTIPLIER,
            },
            "windows": WINDOWS,
        },
        on_chain=False,
    ).specification
    start = {name: one.detach().numpy() for name, one in network.named_parameters()}
    train_local(LocalTraining(spec, start, Dataset(x.numpy(), y.numpy(), ()), noise=SystemNoise()))


def by_opacus(network: nn.Module, data: Data, form: str, steps: int) -> None:
    from opacus import PrivacyEngine

    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    private, optimizer, loader = PrivacyEngine().make_private(
        module=network,
        optimizer=optimizer,
        data_loader=DataLoader(TensorDataset(*data), batch_size=len(data[1])),
        noise_multiplier=NOISE_MULTIPLIER,
        max_grad_norm=CLIPPING_NORM,
        poisson_sampling=False,
    )
    criterion = nn.CrossEntropyLoss()
    for _ in range(steps):
        for x, y in loader:
            optimizer.zero_grad()
            criterion(private(x), y).backward()
            optimizer.step()


TRAININGS: dict[str, Training] = {
    "without privacy": without_privacy,
    "fedpact": by_fedpact,
    "fedpact, Poisson sampled": partial(by_fedpact, sampling_rate=0.99),
    "opacus": by_opacus,
}


def measure(form: str, examples: int, steps: int) -> dict[str, float]:
    """CPU seconds of the fastest of REPEATS trainings each, and their ratios."""
    shape, inputs, pooled = SHAPES[form]
    channels, hidden = FORMS[form]
    torch.manual_seed(0)
    network = ConvolutionalNetwork(
        inputs, channels, (5, 5), (1, 1), pooled, hidden, LABELS, nn.ReLU
    )
    data = torch.randn(examples, *shape), torch.randint(0, LABELS, (examples,))
    seconds = {name: float("inf") for name in TRAININGS}
    for _ in range(REPEATS):  # In turns, so that a busy machine slows all of them alike.
        for name, training in TRAININGS.items():
            copied = copy.deepcopy(network)
            began = time.process_time()
            training(copied, data, form, steps)
            seconds[name] = min(seconds[name], time.process_time() - began)
    return {
        **{f"{name}, seconds": round(value, 2) for name, value in seconds.items()},
        **{
            f"{ours} over {other}": round(seconds[ours] / seconds[other], 2)
            for ours in ("fedpact", "fedpact, Poisson sampled")
            for other in ("without privacy", "opacus")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # Opacus warns of its own hooks
    sizes = {"examples": arguments.examples, "steps": arguments.steps}
    found = {form: sizes | measure(form, **sizes) for form in SHAPES}
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
