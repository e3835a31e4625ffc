"""Evaluation slices: the requester's examples, one part per round, and their encoding."""

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Targets
from fedpact.data.documents import are_documents, pack, unpack
from fedpact.errors import DataError
from fedpact.types.specification import Specification


def cut_stratified(
    y: Targets, rounds: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Indices of each round's slice. Every example is in one slice; slices have sizes as equal as
    possible, and every label is spread over them as evenly as its count allows.

    Raises DataError for fewer than one example per round.
    """
    _require_one_each(len(y), rounds)
    slices: list[list[int]] = [[] for _ in range(rounds)]
    turn = 0
    for label in np.unique(y):
        for example in generator.permutation(np.flatnonzero(y == label)):
            slices[turn % rounds].append(int(example))
            turn += 1
    return [generator.permutation(np.array(part, dtype=np.int64)) for part in slices]


def cut_at_random(
    examples: int, rounds: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Indices of each round's slice, of sizes as equal as possible, regardless of labels and
    values. Raises DataError for fewer than one example per round."""
    _require_one_each(examples, rounds)
    return np.array_split(generator.permutation(examples), rounds)


def _require_one_each(examples: int, rounds: int) -> None:
    if examples < rounds:
        raise DataError(
            f"evaluation set: {examples} examples for {rounds} rounds: it needs at least one per "
            "round"
        )


def encode_slice(part: Dataset) -> bytes:
    """Safetensors with x float32 (n, *shape), or packed documents, and y (n,), int64 labels or
    float32 values."""
    from safetensors.numpy import save

    kind = np.int64 if np.issubdtype(part.y.dtype, np.integer) else np.float32
    inputs = pack(part.x) if are_documents(part.x) else {"x": part.x.astype(np.float32)}
    tensors = {**inputs, "y": part.y.astype(kind)}
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def decode_slice(plain: bytes, spec: Specification) -> Dataset:
    """The examples in a slice's bytes; raises DataError if they do not fit the specification."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(plain)
        x, y = (unpack(tensors) if spec.features.kind == "text" else tensors["x"]), tensors["y"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"evaluation slice: it has no examples ({error})") from error
    shape = spec.features.shape
    kind = np.int64 if spec.task == "classification" else np.float32
    if (
        (x.dtype != np.float32 and not are_documents(x))
        or y.dtype != kind
        or y.ndim != 1
        or not len(y)
    ):
        raise DataError(f"evaluation slice: x is {x.dtype} {x.shape}, y {y.dtype} {y.shape}")
    if x.shape != (len(y), *shape):
        raise DataError(f"evaluation slice: x has shape {x.shape}, not {(len(y), *shape)}")
    if not (are_documents(x) or np.isfinite(x).all()) or not np.isfinite(y).all():
        raise DataError("evaluation slice: a value is not finite")
    if spec.labels and not 0 <= y.min() <= y.max() < len(spec.labels):
        raise DataError("evaluation slice: a label is out of range")
    return Dataset(x, y, ())
