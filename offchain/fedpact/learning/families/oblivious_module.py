"""Oblivious trees as a torch module, for continued training of a fetched model."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedpact.data.dataset import Inputs


class ObliviousNetwork(nn.Module):
    """Raw outputs (n, outputs) of examples (n, *shape); its state has the artefact's name."""

    def __init__(
        self,
        shape: tuple[int, ...],
        first: float,
        second: float,
        places: Callable[[Inputs], NDArray[np.int64]],
    ) -> None:
        """`places`: of examples, their leaves (trees, n). `first`, `second`: see `_weights`."""
        super().__init__()
        self.leaves = nn.Parameter(torch.zeros(shape))
        self._mix = (first, second)
        self._places = places

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        trees, leaves, outputs = self.leaves.shape
        first, second = self._mix
        table = self.leaves / trees**0.5
        for bit in range(leaves.bit_length() - 1):
            split = table.reshape(trees, leaves >> bit + 1, 2, 1 << bit, outputs)
            constant, slope = first * split[:, :, 0], second * split[:, :, 1]
            table = torch.stack([constant - slope, constant + slope], 2).reshape(table.shape)
        places = torch.from_numpy(self._places(x.detach().cpu().numpy())).to(table.device)
        chosen = table.gather(1, places[:, :, None].expand(-1, -1, outputs))
        found: torch.Tensor = chosen.sum(dim=0)
        return found
