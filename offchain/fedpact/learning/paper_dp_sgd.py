"""Training under mode `paper`: DP-SGD with a fixed norm and DDP-SGD (Wang et al. 2024, algorithm
2), Laplace noise on the data and on the model (Lu et al. 2020, equation 4).

None of it is covered by the epsilon that is printed for it: see `privacy.ddp_sgd` and
`privacy.laplace`, which also say what was chosen where the papers leave it open.
"""

from dataclasses import replace

import numpy as np
import torch

from fedpact.data.dataset import Dataset
from fedpact.errors import PrivacyError
from fedpact.learning.artefact import Model
from fedpact.learning.clipped_gradients import gradient_sums
from fedpact.learning.families.base import loss
from fedpact.privacy import ddp_sgd
from fedpact.privacy.laplace import add_laplace, generator_of, scale_of
from fedpact.privacy.noise import NoiseSource
from fedpact.types.local_training import LocalEpochs
from fedpact.types.specification import Specification


class PaperGradients:
    """The gradient of a batch: raw in DDP-SGD's first epochs, clipped and noised in its last; with
    a fixed norm clipped and noised in all. The sum is divided by the drawn batch's size."""

    def __init__(
        self, spec: Specification, local: LocalEpochs, examples: int, noise: NoiseSource
    ) -> None:
        self._spec, self._local, self._noise = spec, local, noise
        self._multiplier = ddp_sgd.claimed_multiplier(spec, examples)
        self._norms: list[list[float]] = [[] for _ in range(local.epochs)]
        """Of the examples' gradients, by epoch; of DDP-SGD's two that its norm is read off."""

    def put(self, module: torch.nn.Module, epoch: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """Into the module's parameters' `grad`."""
        spec = self._spec

        def summed(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return loss(spec, outputs, y, "sum")

        noised = ddp_sgd.noised_epoch(spec, self._local, epoch)
        bound = self._bound() if noised else None
        sums, norms = gradient_sums(module, x, y, summed, bound)
        self._norms[epoch] += norms.tolist()
        with torch.no_grad():
            for name, parameter in sorted(module.named_parameters()):
                total = sums[name]
                if bound is not None:
                    drawn = self._noise.add(total.cpu().numpy(), bound * self._multiplier)
                    total = torch.from_numpy(drawn)
                parameter.grad = (total / len(y)).to(parameter.device, parameter.dtype)

    def _bound(self) -> float:
        fixed = self._spec.privacy.clipping_norm
        if fixed is not None:
            return fixed
        before, last = (float(np.mean(norms)) for norms in self._norms[-3:-1])
        return ddp_sgd.dynamic_norm(last, before)


def noised_data(spec: Specification, dataset: Dataset, noise: NoiseSource | None) -> Dataset:
    """Lu et al.'s data vectors with Laplace noise, which they draw once for all iterations."""
    if noise is None:
        raise PrivacyError("the paper's noise on the data needs a source that all rounds share")
    scale = scale_of(spec)
    noised = add_laplace(dataset.x, *scale, generator_of(noise)).astype(np.float32)
    return replace(dataset, x=noised)


def noised_model(spec: Specification, model: Model, noise: NoiseSource) -> Model:
    """Lu et al.'s model with Laplace noise on each weight."""
    scale, generator = scale_of(spec), generator_of(noise)
    return {
        name: add_laplace(model[name], *scale, generator).astype(np.float32)
        for name in sorted(model)
    }
