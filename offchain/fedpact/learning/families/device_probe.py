"""A device tried without a request, with networks of fedpact's own."""

import torch

from fedpact.learning.devices import check_module, check_products, tried
from fedpact.learning.families.char_lstm import CharacterNetwork
from fedpact.learning.families.cnn import ConvolutionalNetwork
from fedpact.privacy.linear_sums import BLOCK


def check_device(device: str) -> None:
    """Try what `sound` rests on: with a small network of convolutions, which is clipped in one
    pass, and with a recurrent one, which is clipped one example at a time.

    Raises DeviceUnfit with what failed, or why it could not be tried, and TrainingFailed where
    there is no memory for it now.
    """

    def loss(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(outputs, y, reduction="sum")

    random = torch.Generator().manual_seed(3)
    y = torch.randint(0, 10, (2 * BLOCK,), generator=random)
    for module, shape in (
        (
            ConvolutionalNetwork(1, (4, 8), (5, 5), (1, 1), 8 * 2 * 2, (16,), 10, torch.nn.ReLU),
            (1, 8, 8),
        ),
        (CharacterNetwork(10, 4, 8, 1), (12,)),
    ):
        with tried(device, "any family"):
            check_products(device)
            for values in module.parameters():
                torch.nn.init.uniform_(values, -1, 1, random)
            x = torch.rand(2 * BLOCK, *shape, generator=random)
            check_module(module.to(device), x, y, loss, device)
