"""Softmax regression on scattering features (Tramer & Boneh 2021; `features.scattering`)."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError, SpecificationError
from fedpact.features import scattering
from fedpact.features.cache import rounded_features, scattering_features
from fedpact.learning.families.fixed_linear import CHUNK, FixedLinear
from fedpact.types.document import Document
from fedpact.types.specification import Specification


class ScatteringParameters(Document):
    """`mirrored`: 1 treats an image and its mirror image as one (`scattering.mirrored`), with half
    as many values; for objects that look alike mirrored, not for writing."""

    mirrored: Literal[0, 1] = 0


class ScatteringLinear(FixedLinear[ScatteringParameters]):
    """Features have norm 1 at most (`scattering.normalised`)."""

    name = "scattering-linear"
    schema = ScatteringParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        try:
            scattering.width(spec.features.shape)
        except DataError as error:
            raise SpecificationError(f"family {self.name}: {error}") from error

    def width(self, spec: Specification) -> int:
        shape = spec.features.shape
        mirrored = self.parameters(spec).mirrored
        return scattering.mirrored_width(shape) if mirrored else scattering.width(shape)

    def features(
        self, spec: Specification, images: NDArray[np.float32], folder: Path | None
    ) -> NDArray[np.float16]:
        found = rounded_features(images) if folder is None else scattering_features(images, folder)
        if not self.parameters(spec).mirrored:
            return found
        kept = np.empty((len(found), self.width(spec)), np.float16)
        for start in range(0, len(found), CHUNK):
            part = slice(start, start + CHUNK)
            kept[part] = scattering.mirrored(found[part], spec.features.shape)
        return kept
