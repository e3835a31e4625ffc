"""Clipped sums in one backward pass: against one example at a time, and what is refused."""

import pytest
import torch
from torch import nn

from fedpact.errors import ModelError
from fedpact.learning import example_gradients
from fedpact.learning.example_gradients import (
    _backward,
    clipped_gradient_sum,
    contributions,
    supports,
)
from fedpact.learning.families.cnn import FORMS, ConvolutionalNetwork
from fedpact.privacy.linear_sums import BLOCK

SHAPES = {"mnist": ((1, 28, 28), 64 * 7 * 7), "cifar10": ((3, 32, 32), 64 * 8 * 8)}


def summed(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, y, reduction="sum")


def network() -> nn.Module:
    torch.manual_seed(0)
    return ConvolutionalNetwork(1, (3, 4), (5, 5), (1, 1), 4 * 2 * 2, (6,), 3, nn.Tanh)


def strided() -> nn.Module:
    torch.manual_seed(1)
    convolution = nn.Conv2d(1, 2, 3, stride=2, padding=1, dilation=2, bias=False)
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(2 * 3 * 3, 3, bias=False))


def drawn(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    return x, torch.randint(0, 3, (n,), generator=generator)


def one_by_one(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, norm: float
) -> dict[str, torch.Tensor]:
    total = {name: torch.zeros_like(one) for name, one in module.named_parameters()}
    for index in range(len(y)):
        loss = summed(module(x[index : index + 1]), y[index : index + 1])
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        length = torch.cat([one.flatten() for one in gradients]).norm()
        for name, one in zip(total, gradients, strict=True):
            total[name] += one * min(1.0, float(norm / length))
    return total


@pytest.mark.parametrize("make", [network, strided])
@pytest.mark.parametrize("norm", [0.1, 1.0, 1e3])
def test_the_sum_is_that_of_the_examples_clipped_one_by_one(make, norm: float) -> None:
    module, (x, y) = make(), drawn(BLOCK + 3)
    expected = one_by_one(module, x, y, norm)
    found = clipped_gradient_sum(module, x, y, summed, norm)
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        assert found[name] == pytest.approx(one.numpy(), rel=1e-3, abs=2e-4 * norm)


@pytest.mark.parametrize("form", SHAPES)
def test_an_example_contributes_the_same_bits_at_each_row(form: str) -> None:
    """What the privacy of Poisson sampled training in 32 bits rests on (docs/privacy.md): neither
    an example's index in a block nor the others' values change a bit of what it contributes."""
    shape, pooled = SHAPES[form]
    channels, hidden = FORMS[form]
    torch.manual_seed(4)
    module = ConvolutionalNetwork(
        shape[0], channels, (5, 5), (1, 1), pooled, hidden, 10, nn.ReLU
    ).float()
    module.to(memory_format=torch.channels_last)  # as families load it
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(BLOCK, *shape, generator=generator)
    y = torch.randint(0, 10, (BLOCK,), generator=generator)
    others = torch.randn(BLOCK, *shape, generator=generator)

    [expected] = contributions(module, x, y, summed, [7])
    for first in range(4):  # each index has the example in one of four blocks
        indices = range(first, BLOCK, 4)
        block, targets = others.clone(), y.flip(0).clone()
        block[first::4], targets[first::4] = x[7], y[7]
        each = contributions(module, block, targets, summed, indices)
        for index, found in zip(indices, each, strict=True):
            assert all(torch.equal(found[name], one) for name, one in expected.items()), index


def test_one_example_moves_the_sum_by_the_norm_at_most() -> None:
    module, (x, y) = network(), drawn(BLOCK)
    x[5] *= 1e4
    alone = clipped_gradient_sum(module, x[5:6], y[5:6], summed, 0.7)
    length = sum((one**2).sum() for one in alone.values()) ** 0.5
    assert 0.7 * (1 - 1e-3) <= length <= 0.7


def test_whether_one_is_drawn_moves_the_sum_by_the_norm_at_most_rounding_counted() -> None:
    """Without the example, the last one takes its position (`local_training._sample`)."""
    module, (x, y) = network(), drawn(3 * BLOCK + 5)
    for index in range(0, len(y), 7):
        left = torch.arange(len(y) - 1)
        if index < len(left):
            left[index] = len(y) - 1
        within = clipped_gradient_sum(module, x, y, summed, 1e-3)
        without = clipped_gradient_sum(module, x[left], y[left], summed, 1e-3)
        moved = sum(((within[name] - without[name]) ** 2).sum() for name in within) ** 0.5
        assert 0.99e-3 < moved <= 1e-3


def test_every_block_has_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []

    def seen(module, x, y, loss):
        rows.append(len(x))
        return _backward(module, x, y, loss)

    monkeypatch.setattr(example_gradients, "_backward", seen)
    clipped_gradient_sum(network(), *drawn(BLOCK + 3), summed, 1.0)
    assert rows == [BLOCK, BLOCK]


def test_the_module_is_left_as_it_was() -> None:
    module, (x, y) = network(), drawn(4)
    before = {name: one.clone() for name, one in module.state_dict().items()}
    clipped_gradient_sum(module, x, y, summed, 1.0)
    assert all(one.requires_grad and one.grad is None for one in module.parameters())
    assert all(torch.equal(one, before[name]) for name, one in module.state_dict().items())
    assert not any(layer._forward_hooks for layer in module.modules())


def test_no_examples_sum_to_zero() -> None:
    module, (x, y) = network(), drawn(0)
    found = clipped_gradient_sum(module, x, y, summed, 1.0)
    assert all(not one.any() for one in found.values())


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(2, 3),
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)),
        nn.Conv2d(2, 4, 3, groups=2),
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
    ],
)
def test_other_layers_are_not_supported(module: nn.Module) -> None:
    assert not supports(module)
    with pytest.raises(ModelError, match="closed form"):
        clipped_gradient_sum(module, torch.zeros(1, 4), torch.zeros(1).long(), summed, 1.0)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(x))


def test_a_layer_that_is_used_otherwise_is_refused() -> None:
    y = torch.zeros(2).long()
    with pytest.raises(ModelError, match="twice"):
        clipped_gradient_sum(Twice(), torch.ones(2, 3), y, summed, 1.0)
    with pytest.raises(ModelError, match="more than one vector"):
        clipped_gradient_sum(nn.Linear(3, 3), torch.ones(2, 5, 3), y, summed, 1.0)
