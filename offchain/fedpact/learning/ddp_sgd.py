"""Mode `paper`: DP-SGD with a fixed clipping norm, and DDP-SGD (Wang et al. 2024, algorithm 2).

DDP-SGD trains all local epochs but the last on raw gradients, reads the clipping norm off them
(their equation 2), and clips and noises in the last epoch alone. What is uploaded is therefore not
covered by that noise, nor is the norm: **the epsilon is the paper's claim, not a guarantee**.

Where the paper leaves open what to compute, this is chosen:

* *Which epochs.* Equation 2 names epochs E-1 and E-2, and E-1 is the noised one itself, whose
  gradients are not known when its norm is needed. Taken are the two epochs before the last, so
  E >= 3.
* *Which norm.* C_e is the mean over the epoch's examples of the norms of their gradients: those
  are what the last epoch clips.
* *Where equation 2 fails.* With the last epoch's norm C_1 and the one's before C_2, gamma =
  |C_1 - C_2| / C_1 is meant as a weight. It divides by zero at C_1 = 0, exceeds 1 for C_2 > 2 C_1,
  and makes the norm negative for C_2 > (3 + sqrt(5)) / 2 * C_1. It is cut off at 1, which gives
  C_1; a norm below 10^-6 becomes 10^-6.
* *Batches.* Each example once an epoch, in the caller's order, in batches of B. The sum is divided
  by the drawn batch's size, as in the paper.

The figure that is printed for it is `privacy.claimed_epsilon`'s.
"""

import math

import numpy as np
import torch

from fedpact.errors import PrivacyError
from fedpact.learning.epochs import MeanLoss
from fedpact.learning.example_gradients import gradient_sums
from fedpact.learning.families.base import loss
from fedpact.privacy.claimed_epsilon import claimed_multiplier, noised_epoch
from fedpact.privacy.noise import NoiseSource
from fedpact.types.local_training import LocalEpochs
from fedpact.types.specification import Specification

SMALLEST_NORM = 1e-6
READ_OFF = 2
"""Epochs before the last that the clipping norm is read off."""


class PaperGradients:
    """The gradient of a batch: raw in DDP-SGD's first epochs, clipped and noised in its last; with
    a fixed norm clipped and noised in all. The sum is divided by the drawn batch's size."""

    def __init__(
        self, spec: Specification, local: LocalEpochs, examples: int, noise: NoiseSource
    ) -> None:
        self._spec, self._local, self._noise = spec, local, noise
        self._multiplier = claimed_multiplier(spec, examples)
        self._norms: list[list[float]] = [[] for _ in range(local.epochs)]
        """Of the examples' gradients, by epoch; of DDP-SGD's two that its norm is read off."""

    def put(self, module: torch.nn.Module, epoch: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """Into the module's parameters' `grad`."""
        spec = self._spec

        def summed(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return loss(spec, outputs, y, "sum")

        noised = noised_epoch(spec, self._local, epoch)
        if not noised and epoch < self._local.epochs - 1 - READ_OFF:
            MeanLoss(spec).put(module, epoch, x, y)  # nobody asks for these examples' norms
            return
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
        return dynamic_norm(last, before)


def dynamic_norm(last: float, before: float) -> float:
    """Equation 2: gamma * C_1 + (1 - gamma) * C_2, gamma = |C_1 - C_2| / C_1 but at most 1.

    Args:
        last: C_1, the mean norm of gradients in the last epoch without noise.
        before: C_2, in the epoch before it.
    """
    if not (math.isfinite(last) and math.isfinite(before) and last >= 0 and before >= 0):
        raise PrivacyError(f"norms of gradients must be finite, not {last!r} and {before!r}")
    gamma = min(abs(last - before) / last, 1.0) if last > 0 else 1.0
    return max(gamma * last + (1 - gamma) * before, SMALLEST_NORM)
