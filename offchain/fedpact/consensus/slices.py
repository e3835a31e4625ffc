"""Evaluation slices: what the requester seals and what members and auditors open.

A slice is sealed before its request exists, so its envelope is bound to no deployment; that it is
the slice fixed at creation follows from the digests in the specification.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from fedpact.content.envelope import Aad, open_model, seal_model
from fedpact.content.importer import cid_of
from fedpact.data.dataset import Dataset
from fedpact.errors import ContentMismatch, DataError
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification

SLICE_MAX_BYTES = 64 * 2**20
"""Largest sealed slice that is fetched."""

_NO_DEPLOYMENT = bytes(32)


@dataclass(frozen=True)
class SealedSlice:
    """One encrypted slice: `cid` is that of the ciphertext, `sha256` that of the plaintext."""

    cid: Cid
    sha256: bytes
    examples: int
    ciphertext: bytes


def encode_slice(part: Dataset) -> bytes:
    """Safetensors: x float32 (n, *shape), y int64 (n,)."""
    from safetensors.numpy import save

    tensors = {"x": part.x.astype(np.float32), "y": part.y.astype(np.int64)}
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def seal_slice(part: Dataset, number: int, key: bytes) -> SealedSlice:
    """Encrypt the slice of round `number` (from 1) under a 32-byte key."""
    plaintext = encode_slice(part)
    ciphertext = seal_model(key, plaintext, _aad(number))
    return SealedSlice(cid_of(ciphertext), sha256(plaintext).digest(), len(part.y), ciphertext)


def open_slice(spec: Specification, number: int, key: bytes, ciphertext: bytes) -> Dataset:
    """The examples of round `number` (from 1).

    Raises DecryptionError where the key does not open it, ContentMismatch where it is not the
    slice that the specification fixed, DataError where it does not fit the specification.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    fixed = spec.evaluation[number - 1]
    plaintext = open_model(key, ciphertext, _aad(number))
    if sha256(plaintext).hexdigest() != fixed.sha256:
        raise ContentMismatch(f"slice {number} is not the one that the specification fixed")
    try:
        tensors = load(plaintext)
        x, y = tensors["x"], tensors["y"]
    except (SafetensorError, KeyError) as error:
        raise DataError(f"slice {number} holds no examples: {error}") from error
    if (
        x.dtype != np.float32
        or y.dtype != np.int64
        or x.shape != (fixed.examples, *spec.features.shape)
        or y.shape != (fixed.examples,)
    ):
        raise DataError(
            f"slice {number}: x {x.dtype} {x.shape}, y {y.dtype} {y.shape} are not "
            f"{fixed.examples} examples of shape {spec.features.shape}"
        )
    if not np.isfinite(x).all() or y.min() < 0 or y.max() >= len(spec.labels):
        raise DataError(f"slice {number} holds values that are not finite or labels out of range")
    return Dataset(x, y, ())


def _aad(number: int) -> Aad:
    return Aad(_NO_DEPLOYMENT, 0, number, "slice", "")
