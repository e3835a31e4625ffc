"""The dense network as a torch module, for continued training of a fetched model."""

import torch
from torch import nn


class DenseNetwork(nn.Module):
    """Logits or values (n, outputs) of examples (n, ...); its state has the artefact's names."""

    def __init__(
        self, inputs: int, hidden: tuple[int, ...], outputs: int, example_norm: float
    ) -> None:
        super().__init__()
        widths = (inputs, *hidden)
        self.hidden = nn.ModuleList(
            nn.Linear(width, after) for width, after in zip(widths, hidden, strict=False)
        )
        self.output = nn.Linear(widths[-1], outputs)
        self.example_norm = example_norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = x.flatten(1)
        if self.example_norm > 0:
            a = a - a.mean(dim=1, keepdim=True)
            length = a.norm(dim=1, keepdim=True)
            a = a * (self.example_norm / torch.where(length > 0, length, torch.ones_like(length)))
        for layer in self.hidden:
            a = torch.tanh(layer(a))
        found: torch.Tensor = self.output(a)
        return found
