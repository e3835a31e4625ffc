"""Features of images from a frozen public network."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError
from fedpact.features.cache import array_digests, in_batches, kept_rows
from fedpact.features.networks.named import NamedNetwork
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, check_pinned
from fedpact.features.networks.session import FrozenSession, on_all_cores

WIDTH = 1280
MIN_SIDE, MAX_SIDE = 32, 320
"""Pixels that images may be scaled to."""
MAX_IMAGE_SIDE = 1024
"""Pixels of an image as it comes."""
VERSION = "efficientnet-1"
"""Part of each file's key; changes whenever the features' values do."""


_Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise DataError for the shape of an image that the network cannot take."""
    channels, *sides = (1, *shape) if len(shape) == 2 else shape
    if (
        len(sides) != 2
        or channels not in (1, 3)
        or not 1 <= min(sides) <= max(sides) <= MAX_IMAGE_SIDE
    ):
        raise DataError(
            f"image network: it takes images (H, W) or (1 or 3, H, W) of at most {MAX_IMAGE_SIDE} "
            f"pixels a side, not {shape}"
        )


def image_features(
    images: NDArray[np.float32],
    side: int,
    mirrored: bool,
    folder: Path | None = None,
    named: NamedNetwork | None = None,
) -> NDArray[np.float16]:
    """Rows (n, d) of images (n, H, W), (n, 1, H, W) or (n, 3, H, W) with values from 0 to 1.

    The square roots of what the network gives (of sizes, with their signs), scaled to norm 1: roots
    even out a layer in which a few values are much larger than the others. A row depends on its
    image alone; it is of zeros where the network's output is not finite.

    Args:
        side: pixels, on both sides, that the images are scaled to.
        mirrored: whether to average over the image and its mirror image.
        folder: keeps the rows on disk, see `kept_rows`.
        named: the network; None: EfficientNet-Lite0, its last layer averaged over the image.

    Raises DataError for images of another shape, DataMissing without the extra `images` or the
    named network's file.
    """
    check_shape(images.shape[1:])
    planes = images if images.ndim == 4 else images[:, None]

    height, breadth = planes.shape[2:]
    width = WIDTH if named is None else named.form.width

    def rows(at: NDArray[np.int64]) -> NDArray[np.float16]:
        run = _runner((height, breadth), side, named)
        found = on_all_cores(lambda image: _row(run, image, mirrored, width), list(planes[at]))
        return np.stack(found).astype(np.float16)

    if folder is None:
        return in_batches(rows, len(planes), width)
    digest = EFFICIENTNET_LITE0.digest if named is None else named.digest
    version = f"{VERSION}:{digest}:{side}:{int(mirrored)}"
    return kept_rows(version, array_digests(planes), width, rows, folder)


def _row(run: _Run, image: NDArray[np.float32], mirrored: bool, width: int) -> NDArray[np.float32]:
    whole = np.broadcast_to(image, (1, 3, *image.shape[1:]))
    try:
        found = run(whole)
        if mirrored:
            found = (found + run(whole[..., ::-1])) / np.float32(2)
    except Exception:  # noqa: BLE001 - one image must never stop the others
        return np.zeros(width, np.float32)
    with np.errstate(all="ignore"):
        roots = np.copysign(np.sqrt(np.abs(found)), found)
        length = np.sqrt(np.square(roots, dtype=np.float64).sum())
        row = roots / np.float32(length)
    return row if np.isfinite(row).all() else np.zeros_like(row)


def _runner(size: tuple[int, int], side: int, named: NamedNetwork | None) -> _Run:
    """From an image, (1, 3, *size), to what the network gives, (d,)."""
    if named is None:
        return _network(size, side).run
    session = named.session()
    if size == (side, side):
        return session.run
    scaling = _scaling(size, side)
    return lambda image: session.run(scaling.run(image).reshape(1, 3, side, side))


@lru_cache(maxsize=4)
def _scaling(size: tuple[int, int], side: int) -> FrozenSession:
    """Images (1, 3, *size) scaled to `side` pixels on both sides, flat."""
    from onnx import TensorProto

    from fedpact.features.networks.graph import FrozenGraph

    graph = FrozenGraph()
    x = graph.scaled("image", side)
    shape = [1, 3, *size]
    flat = graph.add("Flatten", x)
    return FrozenSession(graph.model({"image": (TensorProto.FLOAT, shape)}, flat, 3 * side * side))


@lru_cache(maxsize=4)
def _network(size: tuple[int, int], side: int) -> FrozenSession:
    check_pinned(EFFICIENTNET_LITE0, EFFICIENTNET_LITE0.name, EFFICIENTNET_LITE0.digest)
    from fedpact.features.networks.efficientnet import efficientnet_lite0

    return FrozenSession(efficientnet_lite0(EFFICIENTNET_LITE0.load(), (3, *size), side))
