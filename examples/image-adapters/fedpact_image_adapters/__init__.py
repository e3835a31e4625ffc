"""Low-rank adapters (Hu et al. 2021, LoRA) on the last layer of a frozen public network for images.

EfficientNet-Lite0 is run once for each image, up to the layer before its last convolution. That
convolution stays as it is; two small matrices are learnt, whose product is added to its weights,
and a dense layer on the mean over the image.
"""

from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from fedpact import Document, Specification, TorchFamily
from fedpact.errors import DataError, SpecificationError
from fedpact.features.cache import array_digests, in_batches, kept_rows
from fedpact.features.networks.efficientnet import (
    BEFORE_LAST,
    efficientnet_lite0,
    last_layer,
    places,
)
from fedpact.features.networks.images import MAX_SIDE, MIN_SIDE, check_shape
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, check_pinned
from fedpact.features.networks.session import FrozenSession, on_all_cores

LAST = 1280
"""Channels of the last convolution."""
VERSION = "image-adapters-1"
"""Part of the key of computed rows; changes whenever their values do."""


class ImageAdaptersParameters(Document):
    """What a draft may say in `family.parameters`."""

    rank: Annotated[int, Field(ge=1, le=64)] = 4
    """Of the matrix that is added to the weights."""
    side: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)] = 96
    """Pixels, on both sides, that images are scaled to."""


class ImageAdapters(TorchFamily[ImageAdaptersParameters]):
    """Takes images of shape (height, width) or (1 or 3, height, width), from 0 to 1."""

    name = "image-adapters"
    tasks = frozenset({"classification"})
    unit = "an image"
    sound = True  # the frozen network runs on one image at a time; nothing of it is learnt
    schema = ImageAdaptersParameters

    def check(self, spec: Specification) -> None:
        check_pinned(EFFICIENTNET_LITE0, *self.network(spec))
        try:
            check_shape(spec.features.shape)
        except DataError as error:
            raise SpecificationError(f"family {self.name}: {error}") from error
        super().check(spec)  # builds the network

    def network(self, spec: Specification) -> tuple[str, str]:
        """A policy must list it (`networks`)."""
        return EFFICIENTNET_LITE0.name, EFFICIENTNET_LITE0.digest

    def uncovered(self, spec: Specification) -> str:
        """What the privacy statement says of the network."""
        return EFFICIENTNET_LITE0.statement

    def represented(
        self, spec: Specification, x: NDArray[Any], folder: Path | None = None
    ) -> NDArray[Any]:
        """What the last convolution takes, (n, channels * places * places) float16; zeros where it
        is not finite."""
        if x.ndim == 2:
            return x
        side = self.parameters(spec).side
        planes = np.asarray(x if x.ndim == 4 else x[:, None], dtype=np.float32)
        width = BEFORE_LAST * places(side) ** 2

        def rows(at: NDArray[np.int64]) -> NDArray[np.float16]:
            session = backbone(planes.shape[2:], side)
            part = list(planes[at])
            return np.stack(on_all_cores(lambda image: row(session, image), part)).astype("<f2")

        if folder is None:
            return in_batches(rows, len(planes), width)
        version = f"{VERSION}:{EFFICIENTNET_LITE0.digest}:{side}"
        return kept_rows(version, array_digests(planes), width, rows, folder)

    def spread(self, spec: Specification, name: str, shapes: dict[str, tuple[int, ...]]) -> float:
        """The second matrix begins at zero: at first the network is what it was."""
        return 0.0 if name == "up" else super().spread(spec, name, shapes)

    def module(self, spec: Specification) -> nn.Module:
        asked = self.parameters(spec)
        return Network(asked.rank, spec.outputs)


def row(session: FrozenSession, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of one image, (1 or 3, height, width)."""
    found = session.run(np.broadcast_to(image, (1, 3, *image.shape[1:])))
    with np.errstate(over="ignore"):
        return found if np.isfinite(found.astype(np.float16)).all() else np.zeros_like(found)


@lru_cache(maxsize=4)
def backbone(size: tuple[int, int], side: int) -> FrozenSession:
    """The network up to its last convolution."""
    tensors = EFFICIENTNET_LITE0.load()
    return FrozenSession(efficientnet_lite0(tensors, (3, *size), side, whole=False))


@cache
def last() -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (LAST, BEFORE_LAST) and bias (LAST, 1) of the last convolution."""
    weight, bias = last_layer(EFFICIENTNET_LITE0.load())
    return torch.from_numpy(weight[:, :, 0, 0]), torch.from_numpy(bias[:, None])


class Network(nn.Module):
    """Logits (n, labels) of what the last convolution takes."""

    def __init__(self, rank: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, BEFORE_LAST))
        self.up = nn.Parameter(torch.empty(LAST, rank))
        self.output = nn.Linear(LAST, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Products of matrices: convolutions of few images round otherwise with other threads.
        weight, bias = (one.to(self.up) for one in last())
        a = x.to(self.up).reshape(len(x), BEFORE_LAST, -1)  # (n, channels, places)
        found = weight @ a + bias + self.up @ (self.down @ a)
        logits: torch.Tensor = self.output(nn.functional.relu6(found).mean(dim=2))
        return logits
