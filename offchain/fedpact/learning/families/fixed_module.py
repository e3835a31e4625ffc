"""The linear model on fixed features as a torch module."""

from collections.abc import Callable

import torch
from torch import nn

from fedpact.data.dataset import Inputs


class FixedNetwork(nn.Module):
    """Logits (n, outputs) of images (n, *shape), or of their features (n, width)."""

    centre: torch.Tensor

    def __init__(self, outputs: int, width: int, features: Callable[[Inputs], Inputs]) -> None:
        """`features`: of images; what are features already stay."""
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(outputs, width))
        self.register_buffer("centre", torch.zeros(width))
        self._features = features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self._features(x.detach().cpu().numpy()).astype("float32")
        features = torch.from_numpy(found).to(self.weights.device)
        logits: torch.Tensor = (features - self.centre) @ self.weights.T
        return logits
