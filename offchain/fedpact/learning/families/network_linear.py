"""Softmax regression on features of a frozen public network (Tramer & Boneh 2021, section 5;
`features.networks.images`).

What the network was trained on is public, and no promise of privacy covers it.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedpact.errors import DataError, SpecificationError
from fedpact.features.networks import images as network
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, check_pinned
from fedpact.learning.families.fixed_linear import FixedLinear
from fedpact.types.document import Document
from fedpact.types.specification import Specification


class NetworkParameters(Document):
    """`network` and `digest`: the name and the weights' hex sha-256. `side`: pixels that images are
    scaled to. `mirrored`: 1 treats an image and its mirror image as one, for twice the time; for
    objects that look alike mirrored, not for writing."""

    network: str
    digest: str
    side: Annotated[int, Field(ge=network.MIN_SIDE, le=network.MAX_SIDE)] = 224
    mirrored: Literal[0, 1] = 0


class NetworkLinear(FixedLinear[NetworkParameters]):
    """Features have norm 1. Values of images must be from 0 to 1 (`features.scale`)."""

    name = "network-linear"
    uncovered = EFFICIENTNET_LITE0.statement
    schema = NetworkParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        asked = self.parameters(spec)
        check_pinned(EFFICIENTNET_LITE0, asked.network, asked.digest)
        try:
            network.check_shape(spec.features.shape)
        except DataError as error:
            raise SpecificationError(f"family {self.name}: {error}") from error

    def width(self, spec: Specification) -> int:
        return network.WIDTH

    def features(
        self, spec: Specification, images: NDArray[np.float32], folder: Path | None
    ) -> NDArray[np.float16]:
        asked = self.parameters(spec)
        return network.image_features(images, asked.side, bool(asked.mirrored), folder)
