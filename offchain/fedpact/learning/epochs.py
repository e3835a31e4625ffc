"""Training in epochs: plain mini-batch SGD in torch, float32."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model
from fedpact.learning.families import family
from fedpact.learning.families.base import loss
from fedpact.learning.strategies import Correction
from fedpact.types.specification import LocalEpochs, Specification

Tensors = dict[str, torch.Tensor]


def train_epochs(
    spec: Specification,
    local: LocalEpochs,
    start: Model,
    dataset: Dataset,
    generator: np.random.Generator,
    correction: Correction | None,
    device: str,
    on_step: Callable[[int, int], None] | None,
) -> Model:
    """`epochs` passes over the data in batches shuffled by `generator`, the last of a pass smaller.

    One kind of processor and one number of threads give the same bytes each time; the number of
    threads is the caller's (torch.set_num_threads), as results depend on it.
    """
    module = family(spec.family.name).loaded(spec, start, device).train()
    x = torch.from_numpy(np.ascontiguousarray(dataset.x)).to(device)
    y = torch.from_numpy(np.ascontiguousarray(dataset.y)).to(device)
    optimizer = torch.optim.SGD(
        module.parameters(), lr=local.learning_rate, momentum=local.momentum
    )
    correct = partial(_correct, *_terms(module, correction, device)) if correction else None
    step, steps = 0, local.steps_for(len(dataset))
    for _ in range(local.epochs):
        order = torch.from_numpy(generator.permutation(len(dataset))).to(device)
        for batch in torch.split(order, local.batch_size):
            optimizer.zero_grad()
            torch.autograd.backward(loss(spec, module(x[batch]), y[batch]))
            if correct is not None:
                correct()
            optimizer.step()
            step += 1
            if on_step is not None:
                on_step(step, steps)
    return {name: one.detach().cpu().numpy() for name, one in module.state_dict().items()}


def _terms(
    module: torch.nn.Module, correction: Correction, device: str
) -> tuple[list[torch.nn.Parameter], float, list[torch.Tensor], list[torch.Tensor]]:
    """Parameters, the proximal factor, and anchors and shifts in the order of the parameters."""
    named = dict(module.named_parameters())

    def on_device(model: Model | None) -> list[torch.Tensor]:
        return [torch.tensor(model[name], device=device) for name in named] if model else []

    return (
        list(named.values()),
        correction.proximal,
        on_device(correction.anchor),
        on_device(correction.shift),
    )


def _correct(
    parameters: list[torch.nn.Parameter],
    proximal: float,
    anchors: list[torch.Tensor],
    shifts: list[torch.Tensor],
) -> None:
    """Add the correction to the parameters' gradients; `anchors` and `shifts` may be empty."""
    with torch.no_grad():
        for place, parameter in enumerate(parameters):
            if parameter.grad is None:
                continue
            if anchors:
                parameter.grad.add_(parameter - anchors[place], alpha=proximal)
            if shifts:
                parameter.grad.add_(shifts[place])
