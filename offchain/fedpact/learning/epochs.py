"""Training in epochs: plain mini-batch SGD in torch, float32.

The update equals torch.optim.SGD's, to the bit; using that class would import torch's compiler,
three seconds of processor time in each daemon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch

from fedpact.learning.artefact import Model
from fedpact.learning.families import gradient_family_of
from fedpact.learning.families.base import loss
from fedpact.learning.strategies import Correction
from fedpact.learning.training_inputs import LocalTraining
from fedpact.types.local_training import LocalEpochs
from fedpact.types.specification import Specification


class Gradients(Protocol):
    """A source of batches' gradients."""

    def put(self, module: torch.nn.Module, epoch: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """Put a batch's gradient into the parameters' `grad`; `epoch` counts from 0."""


@dataclass(frozen=True)
class MeanLoss:
    """The gradient of the batch's mean loss."""

    spec: Specification

    def put(self, module: torch.nn.Module, epoch: int, x: torch.Tensor, y: torch.Tensor) -> None:
        module.zero_grad()
        torch.autograd.backward(loss(self.spec, module(x), y))


def train_epochs(
    training: LocalTraining,
    local: LocalEpochs,
    generator: np.random.Generator,
    gradients: Gradients,
    on_step: Callable[[int, int], None] | None,
) -> Model:
    """`epochs` passes over the data in batches shuffled by `generator`, the last of a pass smaller.

    Results depend on the kind of processor and on the number of threads, which the caller sets
    (torch.set_num_threads); with both equal they are the same bytes each time.
    """
    dataset, device, correction = training.dataset, training.device, training.correction
    module = gradient_family_of(training.spec).loaded(training.spec, training.start, device).train()
    x = torch.from_numpy(np.ascontiguousarray(dataset.x)).to(device)
    y = torch.from_numpy(np.ascontiguousarray(dataset.y)).to(device)
    parameters = list(module.parameters())
    velocity = [torch.zeros_like(one) for one in parameters]
    correct = (
        partial(_correct, parameters, *_terms(module, correction, device)) if correction else None
    )
    step, steps = 0, local.steps_for(len(dataset))
    for epoch in range(local.epochs):
        order = torch.from_numpy(generator.permutation(len(dataset))).to(device)
        for batch in torch.split(order, local.batch_size):
            gradients.put(module, epoch, x[batch], y[batch])
            if correct is not None:
                correct()
            _descend(local, parameters, velocity)
            step += 1
            if on_step is not None:
                on_step(step, steps)
    state = module.state_dict()
    return {name: one.detach().cpu().contiguous().numpy() for name, one in state.items()}


@torch.no_grad()
def _descend(
    local: LocalEpochs, parameters: list[torch.nn.Parameter], velocity: list[torch.Tensor]
) -> None:
    """v = momentum * v + g; w = w - learning_rate * v."""
    for parameter, speed in zip(parameters, velocity, strict=True):
        if parameter.grad is not None:
            speed.mul_(local.momentum).add_(parameter.grad)
            parameter.add_(speed, alpha=-local.learning_rate)


def _terms(
    module: torch.nn.Module, correction: Correction, device: str
) -> tuple[float, list[torch.Tensor], list[torch.Tensor]]:
    """The proximal factor, and anchors and shifts in the order of the module's parameters."""
    names = [name for name, _ in module.named_parameters()]

    def on_device(model: Model | None) -> list[torch.Tensor]:
        return [torch.tensor(model[name], device=device) for name in names] if model else []

    return correction.proximal, on_device(correction.anchor), on_device(correction.shift)


@torch.no_grad()
def _correct(
    parameters: list[torch.nn.Parameter],
    proximal: float,
    anchors: list[torch.Tensor],
    shifts: list[torch.Tensor],
) -> None:
    """Add the correction to the parameters' gradients; `anchors` and `shifts` may be empty."""
    for index, parameter in enumerate(parameters):
        if parameter.grad is None:
            continue
        if anchors:
            parameter.grad.add_(parameter - anchors[index], alpha=proximal)
        if shifts:
            parameter.grad.add_(shifts[index])
