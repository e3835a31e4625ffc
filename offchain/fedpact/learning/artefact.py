"""Models as bytes: canonical safetensors, one encoding per model, no parser exposed to strangers.

A template fixes the names and shapes of a model's tensors, and so every byte of the file's header.
Decoding compares the header instead of parsing it: a file that `encode` did not write is refused
unread.
"""

import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import ModelError

F = TypeVar("F", np.float32, np.float64)
Model = dict[str, NDArray[np.float32]]
"""Tensors by name."""

MAX_WEIGHT = 1e6
"""Largest absolute value in a model of a family that descends a gradient. Honest weights stay far
below; larger ones would only serve to make arithmetic overflow on chosen records."""
LARGEST = float(np.finfo(np.float32).max)

_ALIGNMENT = 8
_VALUE_BYTES = 4


@dataclass(frozen=True)
class Template:
    """Names and shapes of a model's float32 tensors."""

    tensors: tuple[tuple[str, tuple[int, ...]], ...]
    """Sorted by name, the order in which they are stored."""
    largest: float = field(default=LARGEST, compare=False)
    """No value may exceed it in size."""

    def __post_init__(self) -> None:
        names = [name for name, _ in self.tensors]
        if names != sorted(set(names)):
            raise ModelError(f"tensor names must be sorted and distinct: {names}")

    @classmethod
    def of(cls, model: Model) -> "Template":
        """The template that a model fits."""
        return cls(tuple((name, tuple(model[name].shape)) for name in sorted(model)))

    @property
    def parameters(self) -> int:
        """Number of values."""
        return sum(math.prod(shape) for _, shape in self.tensors)

    @property
    def bytes(self) -> int:
        """Exact size of an encoded model."""
        return len(_header(self)) + _VALUE_BYTES * self.parameters


@lru_cache(maxsize=64)
def _header(template: Template) -> bytes:
    """The file before the values: 8 bytes of length, JSON, spaces up to 8-byte alignment."""
    entries = {}
    offset = 0
    for name, shape in template.tensors:
        end = offset + _VALUE_BYTES * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def encode(model: Model) -> bytes:
    """Canonical safetensors of a model: equal values give equal bytes.

    Values that are not finite are written too; `decode` refuses them.
    Raises ModelError for a tensor that is not float32.
    """
    template = Template.of(model)
    for name, _ in template.tensors:
        if model[name].dtype != np.float32:
            raise ModelError(f"tensor {name!r} is {model[name].dtype}, not float32")
    values = (np.ascontiguousarray(model[name], "<f4").tobytes() for name, _ in template.tensors)
    return _header(template) + b"".join(values)


def decode(data: bytes, template: Template) -> Model:
    """The model in an artefact; its tensors are read-only.

    Raises ModelError for bytes of the wrong size, a header that is not the template's, or values
    that are not finite or larger than the template allows.
    """
    if len(data) != template.bytes:
        raise ModelError(f"model of {len(data)} bytes, its template needs {template.bytes}")
    header = _header(template)
    if data[: len(header)] != header:
        raise ModelError(
            "model whose header is not its template's: other tensors, or not canonical"
        )
    values = np.frombuffer(data, dtype="<f4", offset=len(header)).astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise ModelError("model with values that are not finite")
    if values.size and float(np.abs(values).max()) > template.largest:
        raise ModelError(f"model with values above {template.largest:g}")
    model: Model = {}
    start = 0
    for name, shape in template.tensors:
        size = math.prod(shape)
        model[name] = values[start : start + size].reshape(shape)
        start += size
    return model


def bounded(model: Model, largest: float) -> Model:
    """The model with its values clipped to +-`largest`, and zero where they are no numbers."""
    return {name: clipped(values, largest) for name, values in model.items()}


def clipped(values: NDArray[F], largest: float) -> NDArray[F]:
    """Values clipped to +-`largest`, NaN as 0; of the same type."""
    limit = values.dtype.type(largest)
    known = np.nan_to_num(values, nan=0.0, posinf=largest, neginf=-largest)
    return np.clip(known, -limit, limit)
