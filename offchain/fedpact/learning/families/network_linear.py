"""Softmax regression on features of a frozen public network (Tramer & Boneh 2021, section 5;
`features.networks.images`).

What the network was trained on is public, and no promise of privacy covers it.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedpact.content.store import ContentStore
from fedpact.errors import DataError, InvalidInput, SpecificationError
from fedpact.features.networks import images as network
from fedpact.features.networks.allowed import MAX_WIDTH, Form
from fedpact.features.networks.named import NamedNetwork
from fedpact.features.networks.pinned import (
    EFFICIENTNET_LITE0,
    PINNED_NETWORKS,
    check_installed,
    check_pinned,
)
from fedpact.learning.families.fixed_linear import FixedLinear
from fedpact.types.cid import Cid
from fedpact.types.document import Document
from fedpact.types.specification import Specification


class NetworkParameters(Document):
    """`network` and `digest`: the name and the weights' hex sha-256, or an ONNX file's CID and its
    hex sha-256, with `width`, the values that it gives (0 for a name). `side`: pixels that images
    are scaled to. `mirrored`: 1 treats an image and its mirror image as one, for twice the time;
    for objects that look alike mirrored, not for writing."""

    network: Annotated[str, Field(max_length=100)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    width: Annotated[int, Field(ge=0, le=MAX_WIDTH)] = 0
    side: Annotated[int, Field(ge=network.MIN_SIDE, le=network.MAX_SIDE)] = 224
    mirrored: Literal[0, 1] = 0


class NetworkLinear(FixedLinear[NetworkParameters]):
    """Features have norm 1. Values of images must be from 0 to 1 (`features.scale`)."""

    name = "network-linear"
    schema = NetworkParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        asked = self.parameters(spec)
        if self._named(spec) is not None:
            check_installed(EFFICIENTNET_LITE0.extra)
            if not asked.width:
                raise SpecificationError(
                    f"family {self.name}: network {asked.network} needs its width"
                )
        else:
            check_pinned(EFFICIENTNET_LITE0, asked.network, asked.digest)
            if asked.width:
                raise SpecificationError(
                    f"family {self.name}: {asked.network} has its own width: width must be 0"
                )
        try:
            network.check_shape(spec.features.shape)
        except DataError as error:
            raise SpecificationError(f"family {self.name}: {error}") from error

    def network(self, spec: Specification) -> tuple[str, str]:
        asked = self.parameters(spec)
        return asked.network, asked.digest

    def uncovered(self, spec: Specification) -> str:
        named = self._named(spec)
        return EFFICIENTNET_LITE0.statement if named is None else named.statement

    def obtain(self, spec: Specification, store: ContentStore) -> None:
        named = self._named(spec)
        if named is not None:
            named.obtain(store)

    def width(self, spec: Specification) -> int:
        return self.parameters(spec).width or network.WIDTH

    def features(
        self, spec: Specification, images: NDArray[np.float32], folder: Path | None
    ) -> NDArray[np.float16]:
        asked, named = self.parameters(spec), self._named(spec)
        return network.image_features(images, asked.side, bool(asked.mirrored), folder, named)

    def _named(self, spec: Specification) -> NamedNetwork | None:
        """The network that the specification names by its CID, if it does."""
        asked = self.parameters(spec)
        if asked.network in PINNED_NETWORKS:
            return None
        try:
            cid = Cid.parse(asked.network)
        except InvalidInput as error:
            raise SpecificationError(
                f"family {self.name}: network {asked.network!r} is neither a CID nor "
                f"{EFFICIENTNET_LITE0.name!r}"
            ) from error
        return NamedNetwork(cid, asked.digest, Form(asked.side, asked.width))
