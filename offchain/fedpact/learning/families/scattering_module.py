"""The linear model on scattering features as a torch module."""

import torch
from torch import nn

from fedpact.features.cache import rounded_features


class ScatteringNetwork(nn.Module):
    """Logits (n, outputs) of images (n, *shape), or of their features (n, width)."""

    centre: torch.Tensor

    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(outputs, width))
        self.register_buffer("centre", torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() != 2:
            features = rounded_features(x.detach().cpu().numpy()).astype("float32")
            x = torch.from_numpy(features).to(self.weights.device)
        found: torch.Tensor = (x - self.centre) @ self.weights.T
        return found
