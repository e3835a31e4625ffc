"""Softmax regression on fixed features: a public map of each image before a linear model.

The map looks at each image by itself and nothing of it is learnt, so it costs no privacy; what is
learnt is small, and one full-batch step a round loses nothing to noise that was drawn for
parameters a network would have in its place. The first round gathers the features' mean, which
centres them; centred, they need no bias.

Sums are in 32 bits, with the margin of `privacy.linear_sums`, predictions in 64.
"""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import MAX_WEIGHT, Model, Template
from fedpact.learning.families.base import GradientFamily, Weights
from fedpact.privacy.linear_sums import (
    BLOCK,
    CentredFeatures,
    feature_sum,
    softmax_gradient_norms,
    softmax_gradient_sum,
    softmax_probabilities,
)
from fedpact.types.document import Document
from fedpact.types.local_training import LocalSteps
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import STATISTICS_ROUND, Specification

if TYPE_CHECKING:
    import torch

P = TypeVar("P", bound=Document)
CENTRE, WEIGHTS = "centre", "weights"
CHUNK = 32 * BLOCK
"""Examples centred at a time; whole blocks, so that no sum depends on it."""
UNCLIPPED = 1e30
"""A bound above every example's norm."""


class FixedLinear(GradientFamily[P]):
    """Logits = weights @ (features - centre); weights (labels, d), centre (d,)."""

    tasks = frozenset({"classification"})
    unit = "an image"
    sound = True
    statistics = (CENTRE,)
    statistics_norm = 1.0

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if not isinstance(spec.local, LocalSteps):
            raise SpecificationError(f"family {self.name}: local steps are needed, not epochs")
        if spec.rounds == STATISTICS_ROUND:
            raise SpecificationError(
                f"family {self.name}: round {STATISTICS_ROUND} centres the features; at least one "
                "more is needed"
            )
        if spec.privacy.mode is PrivacyMode.PAPER:
            raise SpecificationError(f"family {self.name}: mode paper is not supported")
        if spec.privacy.mode is PrivacyMode.SOUND and spec.privacy.clipping_norm is None:
            raise SpecificationError(f"family {self.name}: privacy mode sound needs clipping_norm")
        if spec.privacy.mode is PrivacyMode.SOUND and spec.local.sampling_rate != 1:
            raise SpecificationError(
                f"family {self.name}: privacy mode sound needs the sampling_rate 1: its noise is "
                "calibrated for full batches"
            )

    @abstractmethod
    def width(self, spec: Specification) -> int:
        """Number of features, d."""

    @abstractmethod
    def features(
        self, spec: Specification, images: NDArray[np.float32], folder: Path | None
    ) -> NDArray[np.float16]:
        """Features (n, d), each of its image alone, of finite images (n, *shape); kept in `folder`,
        if one is given."""

    def template(self, spec: Specification) -> Template:
        width = self.width(spec)
        return Template(((CENTRE, (width,)), (WEIGHTS, (spec.outputs, width))), MAX_WEIGHT)

    def initial(self, spec: Specification, seed: int) -> Model:
        """All zeros, whatever the seed."""
        return {name: np.zeros(shape, np.float32) for name, shape in self.template(spec).tensors}

    def represented(self, spec: Specification, x: Inputs, folder: Path | None = None) -> Inputs:
        """Features (n, d) float16 of images (n, H, W) or (n, channels, H, W); what has two
        dimensions is features already.

        Images that are not finite have features that are not numbers under `sound`, and count as
        zero; otherwise they raise DataError."""
        if x.ndim == 2:
            return x
        finite = np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
        lost = spec.privacy.mode is PrivacyMode.SOUND and not finite.all()
        images = np.where(finite.reshape(-1, *[1] * (x.ndim - 1)), x, 0) if lost else x
        found = self.features(spec, images, folder)
        if lost:
            found = found.copy()
            found[~finite] = np.nan
        return found

    def statistics_sum(self, spec: Specification, x: Inputs, bound: float | None) -> Weights:
        return {CENTRE: feature_sum(self.represented(spec, x), bound or UNCLIPPED)}

    def gradient_sum(
        self,
        spec: Specification,
        weights: Weights,
        x: Inputs,
        y: Targets,
        clipping_norm: float | None,
    ) -> Weights:
        linear, total = weights[WEIGHTS].astype(np.float32), np.zeros(weights[WEIGHTS].shape)
        for centred, labels in self._centred(spec, weights, x, y):
            total += softmax_gradient_sum(centred, linear, labels, clipping_norm or UNCLIPPED)
        return {WEIGHTS: total}

    def gradient_norms(
        self, spec: Specification, weights: Weights, x: Inputs, y: Targets
    ) -> NDArray[np.float64]:
        linear, found = weights[WEIGHTS].astype(np.float32), [np.empty(0)]
        for centred, labels in self._centred(spec, weights, x, y):
            found.append(softmax_gradient_norms(centred, linear, labels))
        return np.concatenate(found)

    def _centred(
        self, spec: Specification, weights: Weights, x: Inputs, y: Targets
    ) -> Iterator[tuple[CentredFeatures, NDArray[np.int64]]]:
        """Features and labels, CHUNK at a time."""
        features, centre = self.represented(spec, x), weights[CENTRE].astype(np.float32)
        for start in range(0, len(y), CHUNK):
            part = slice(start, start + CHUNK)
            yield CentredFeatures.of(features[part], centre), y[part].astype(np.int64)

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        features = self.represented(spec, x)
        centre, linear = (model[name].astype(np.float64) for name in (CENTRE, WEIGHTS))
        found = np.empty((len(features), len(linear)))
        for start in range(0, len(features), CHUNK):
            part = slice(start, start + CHUNK)
            found[part] = softmax_probabilities((features[part] - centre) @ linear.T)
        return found

    def module(self, spec: Specification) -> "torch.nn.Module":
        from fedpact.learning.families.fixed_module import FixedNetwork

        return FixedNetwork(spec.outputs, self.width(spec), lambda x: self.represented(spec, x))
