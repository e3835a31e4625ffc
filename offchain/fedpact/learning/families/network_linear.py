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
from fedpact.features.networks.allowed import ImageForm
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.learning.families.fixed_linear import FixedLinear
from fedpact.learning.families.frozen_network import OnNetwork, OnNetworkParameters
from fedpact.types.specification import Specification


class NetworkParameters(OnNetworkParameters):
    """`side`: pixels that images are scaled to. `mirrored`: 1 treats an image and its mirror image
    as one, for twice the time; for objects that look alike mirrored, not for writing."""

    side: Annotated[int, Field(ge=network.MIN_SIDE, le=network.MAX_SIDE)] = 224
    mirrored: Literal[0, 1] = 0


class NetworkLinear(OnNetwork[NetworkParameters], FixedLinear[NetworkParameters]):
    """Features have norm 1. Values of images must be from 0 to 1 (`features.scale`)."""

    name = "network-linear"
    schema = NetworkParameters
    pinned = EFFICIENTNET_LITE0
    own_width = network.WIDTH

    def check(self, spec: Specification) -> None:
        super().check(spec)
        try:
            network.check_shape(spec.features.shape)
        except DataError as error:
            raise SpecificationError(f"family {self.name}: {error}") from error

    def form(self, spec: Specification) -> ImageForm:
        asked = self.parameters(spec)
        return ImageForm(asked.side, asked.width)

    def width(self, spec: Specification) -> int:
        return self.row_width(spec)

    def features(
        self, spec: Specification, images: NDArray[np.float32], folder: Path | None
    ) -> NDArray[np.float16]:
        asked, named = self.parameters(spec), self.named(spec)
        return network.image_features(images, asked.side, bool(asked.mirrored), folder, named)
