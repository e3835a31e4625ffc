"""An evaluation slice as a file: safetensors with x float32 (n, *shape) and y int64 (n,)."""

import numpy as np
from fedpact.data.dataset import Dataset

from fedpact.errors import DataError
from fedpact.types.specification import Specification


def encode_slice(part: Dataset) -> bytes:
    """Equal examples in equal order give equal bytes."""
    from safetensors.numpy import save

    tensors = {"x": part.x.astype(np.float32), "y": part.y.astype(np.int64)}
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def decode_slice(plain: bytes, spec: Specification) -> Dataset:
    """The examples; raises DataError where they do not fit the specification."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(plain)
        x, y = tensors["x"], tensors["y"]
    except (SafetensorError, KeyError) as error:
        raise DataError(f"evaluation slice: {error}") from error
    shape = spec.features.shape
    if x.dtype != np.float32 or y.dtype != np.int64 or y.ndim != 1 or len(y) == 0:
        raise DataError(f"evaluation slice: x is {x.dtype}, y {y.dtype} {y.shape}")
    if x.shape != (len(y), *shape):
        raise DataError(f"evaluation slice: x {x.shape} are not {len(y)} examples of {shape}")
    if not np.isfinite(x).all() or y.min() < 0 or y.max() >= len(spec.labels):
        raise DataError("evaluation slice: a value is not finite, or a label is out of range")
    return Dataset(x, y, ())
