"""Sums of clipped gradients of networks of dense and convolutional layers, in one backward pass.

What a layer's parameters owe to one example follows from the layer's input and the gradient of its
output: for a dense layer the outer product of the two, whose norm needs no product (Goodfellow
2015); for a convolution a small matrix, which is formed. So the gradients of the outputs are
computed once for a batch, the examples' norms follow, and then the sums with each example's factor
(the book-keeping of Bu et al. 2023), at about the cost of training without privacy.

Within blocks of BLOCK examples arithmetic is in the parameters' type, between them in 64 bits; what
rounding can add to the sensitivity is taken off the clipping norm (`privacy.linear_sums`). Every
block has BLOCK rows, the last one rows of zeros that count for nothing, so that an example has the
same gradient to the last bit wherever it stands and whoever stands beside it. Whether it does
depends on shapes and machine: `TorchFamily` tries it. An example whose gradient
overflows, or is longer than LARGEST_NORM, counts as zero.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedpact.errors import ModelError
from fedpact.privacy.linear_sums import BLOCK, LARGEST_NORM, ROUNDING_MARGIN

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(outputs (n, outputs), y (n,)) -> the sum of the examples' losses."""
Sums = dict[str, NDArray[np.float64]]
Weighted = Callable[[torch.Tensor, torch.Tensor | None], tuple[torch.Tensor, torch.Tensor]]
"""Factors of the examples, (n,), and which of them to leave out, (n,), or None -> the sums of their
gradients of (weight, bias) with these factors."""


@dataclass
class _Seen:
    """One layer in one forward pass."""

    name: str
    layer: nn.Module
    inputs: torch.Tensor
    outputs: torch.Tensor


def supports(module: nn.Module) -> bool:
    """Whether all parameters belong to dense layers and plain two-dimensional convolutions."""
    known = {id(one) for layer in _layers(module).values() for one in layer.parameters()}
    return all(id(parameter) in known for parameter in module.parameters())


def clipped_gradient_sum(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Loss, clipping_norm: float
) -> Sums:
    """Sum over the examples of their gradients, each clipped to `clipping_norm`, by parameter.

    The norm is over all parameters together; the sum's sensitivity is at most `clipping_norm`,
    rounding counted. Each layer takes part once in a forward pass, dense ones on (n, width).

    Args:
        module: its parameters of 32 or 64 bits, on the device of `x` and `y`; their gradients
            stay untouched.
        x: (n, *shape).
        y: (n,).

    Raises:
        ModelError: a module with other parameters, or one that uses a layer in another way.
    """
    if not supports(module):
        raise ModelError("only dense layers and plain convolutions have gradients in closed form")
    total = {
        name: torch.zeros_like(parameter, dtype=torch.float64, requires_grad=False)
        for name, parameter in module.named_parameters()
    }
    # ROUNDING_MARGIN is that of 32 bits; it grows with the type's spacing of numbers.
    dtype = next(module.parameters()).dtype
    spacing = torch.finfo(dtype).eps / torch.finfo(torch.float32).eps
    usable = clipping_norm * (1 - ROUNDING_MARGIN * spacing)
    for start in range(0, len(y), BLOCK):
        part = slice(start, start + BLOCK)
        block, targets = _filled(x[part].to(dtype)), _filled(y[part])
        found, _ = gradient_sums(module, block, targets, loss, usable, counted=len(y[part]))
        for name, values in found.items():
            total[name].add_(values)  # of 32 bits to 64, in place
    return {name: values.cpu().numpy() for name, values in total.items()}


def gradient_sums(
    module: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Loss,
    bound: float | None,
    counted: int | None = None,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Sums by parameter of the gradients of the first `counted` examples (or of all), each scaled
    down to norm `bound` (or not), and the norms that all had, (n,).

    All in one pass, without a margin for rounding; `clipped_gradient_sum` is what a guarantee
    may rest on.
    """
    seen, terms, norms = _backward(module, x, y, loss)
    with torch.no_grad():
        left_out = None
        if bound is None:
            factors = torch.ones_like(norms)
        else:
            unusable = ~torch.stack([usable for _, _, usable in terms]).all(dim=0)
            unusable |= ~(norms <= LARGEST_NORM)
            factors = torch.where(unusable, 0.0, bound / norms.clamp(min=bound))
            left_out = unusable if bool(unusable.any()) else None
        if counted is not None:
            factors[counted:] = 0
        found: dict[str, torch.Tensor] = {}
        for one, (_, weighted, _) in zip(seen, terms, strict=True):
            weight, bias = weighted(factors.to(x.dtype), left_out)
            found[f"{one.name}.weight"] = weight
            if one.layer.bias is not None:
                found[f"{one.name}.bias"] = bias
    return found, norms


def contributions(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Loss, rows: Iterable[int]
) -> Iterator[dict[str, torch.Tensor]]:
    """What each of these examples adds to the sum of its block, scaled to norm 1, by parameter: the
    same bits at any row and beside any others, which is what a guarantee rests on."""
    seen, terms, norms = _backward(module, x, y, loss)
    for row in rows:
        factors, length = torch.zeros_like(norms, dtype=x.dtype), float(norms[row])
        factors[row] = 1 / length if 0 < length <= LARGEST_NORM else 0.0
        with torch.no_grad():
            yield {
                f"{one.name}.{kind}": value
                for one, (_, weighted, _) in zip(seen, terms, strict=True)
                for kind, value in zip(("weight", "bias"), weighted(factors, None), strict=True)
            }


def _filled(rows: torch.Tensor) -> torch.Tensor:
    """A block of BLOCK rows, those that are missing of zeros."""
    if len(rows) == BLOCK:
        return rows
    return torch.cat([rows, rows.new_zeros(BLOCK - len(rows), *rows.shape[1:])])


def gradient_norms(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Loss
) -> NDArray[np.float64]:
    """Norms of the examples' gradients, (n,), of a module that `clipped_gradient_sum` takes."""
    dtype = next(module.parameters()).dtype
    found = [np.empty(0)]
    for start in range(0, len(y), BLOCK):
        part = slice(start, start + BLOCK)
        block, targets = _filled(x[part].to(dtype)), _filled(y[part])
        _, _, norms = _backward(module, block, targets, loss)
        found.append(norms[: len(y[part])].double().cpu().numpy())
    return np.concatenate(found)


def _backward(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Loss
) -> tuple[list[_Seen], list[tuple[torch.Tensor, Weighted, torch.Tensor]], torch.Tensor]:
    """The layers as they were passed, what `_terms` finds of each, and the examples' norms."""
    seen, outputs = _forward(module, x)
    gradients = torch.autograd.grad(loss(outputs, y), [one.outputs for one in seen])
    with torch.no_grad():
        terms = [_terms(one, its) for one, its in zip(seen, gradients, strict=True)]
        return seen, terms, torch.stack([squares for squares, _, _ in terms]).sum(dim=0).sqrt()


def _layers(module: nn.Module) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for name, layer in module.named_modules():
        plain = isinstance(layer, nn.Conv2d) and layer.groups == 1
        if isinstance(layer, nn.Linear) or (plain and layer.padding_mode == "zeros"):
            found[name] = layer
    return found


def _forward(module: nn.Module, x: torch.Tensor) -> tuple[list[_Seen], torch.Tensor]:
    """The module's outputs, and what each layer took and gave; parameters need no gradient."""
    seen: list[_Seen] = []

    def note(name: str) -> Callable[[nn.Module, tuple[torch.Tensor], torch.Tensor], None]:
        def hook(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            if any(one.layer is layer for one in seen):
                raise ModelError(f"layer {name} takes part twice in one pass")
            if isinstance(layer, nn.Linear) and inputs[0].dim() != 2:
                raise ModelError(f"layer {name} takes more than one vector an example")
            if not output.requires_grad:
                output.requires_grad_()  # the first layer: the graph begins here
            seen.append(_Seen(name, layer, inputs[0].detach(), output))

        return hook

    asked = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    hooks = [layer.register_forward_hook(note(name)) for name, layer in _layers(module).items()]
    try:
        module.requires_grad_(False)
        outputs = module(x)
    finally:
        for hook in hooks:
            hook.remove()
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(asked[name])
    return seen, outputs


def _terms(one: _Seen, gradient: torch.Tensor) -> tuple[torch.Tensor, Weighted, torch.Tensor]:
    """Squared norms of the examples' gradients, (n,), their sums with given factors, and which
    examples are short enough to be scaled exactly, (n,)."""
    biased = one.layer.bias is not None
    if isinstance(one.layer, nn.Linear):
        inputs = one.inputs
        lengths, widths = _squares(gradient), _squares(inputs)
        usable = (lengths <= LARGEST_NORM**2) & (widths <= LARGEST_NORM**2)

        def weighted(
            factors: torch.Tensor, left_out: torch.Tensor | None
        ) -> tuple[torch.Tensor, torch.Tensor]:
            scaled = _without(gradient, left_out) * factors[:, None]
            return scaled.T @ _without(inputs, left_out), scaled.sum(dim=0)

        return lengths * (widths + (1 if biased else 0)), weighted, usable
    layer = one.layer
    assert isinstance(layer, nn.Conv2d)
    patches = _patches(layer, one.inputs)  # (n, positions, inputs per position)
    errors = gradient.flatten(2)  # (n, channels, positions)
    each = torch.bmm(errors, patches)  # (n, channels, inputs per position)
    biases = errors.sum(dim=2)
    norms = _squares(each.flatten(1)) + (_squares(biases) if biased else 0)

    def weighted_maps(
        factors: torch.Tensor, left_out: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        kept = _without(each, left_out)
        rows, columns = layer.kernel_size
        weight = torch.tensordot(factors, kept, dims=1).reshape(
            -1, rows, columns, layer.in_channels
        )
        return weight.permute(0, 3, 1, 2), factors @ _without(biases, left_out)

    return norms, weighted_maps, norms <= LARGEST_NORM**2


def _without(rows: torch.Tensor, left_out: torch.Tensor | None) -> torch.Tensor:
    """The examples' rows, zeros for those that are left out: 0 times infinity is no number."""
    if left_out is None:
        return rows
    return torch.where(left_out.reshape(-1, *[1] * (rows.dim() - 1)), 0.0, rows)


def _patches(layer: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
    """What the layer sees at each position, (n, positions, rows x columns x channels).

    Not torch's `unfold`, which takes several times as long on channels that are kept last.
    """
    if isinstance(layer.padding, str):
        raise ModelError(f"a convolution's padding in words, {layer.padding!r}, is not supported")
    down, across = layer.padding
    seen = nn.functional.pad(inputs.permute(0, 2, 3, 1), (0, 0, across, across, down, down))
    n, *sides, channels = seen.shape
    each, *steps, one = seen.stride()
    places, moves, reaches = [], [], []
    for axis, side in enumerate(sides):
        reach = layer.dilation[axis]
        last = side - reach * (layer.kernel_size[axis] - 1) - 1
        places.append(last // layer.stride[axis] + 1)
        moves.append(steps[axis] * layer.stride[axis])
        reaches.append(steps[axis] * reach)
    view = seen.as_strided(
        (n, *places, *layer.kernel_size, channels), (each, *moves, *reaches, one)
    )
    return view.reshape(n, places[0] * places[1], -1)


def _squares(rows: torch.Tensor) -> torch.Tensor:
    """Squared norms, (n,), in 64 bits."""
    return rows.square().sum(dim=1, dtype=torch.float64)
