"""The requester's side of the evaluation set: split it and seal it. What opens each slice:
`slice_opening`.

A slice's key follows from the requester's account key and the slice's plaintext, so no
secret is kept outside the key store. It is sealed to the members only after the submissions of
its round have closed: nobody can train on the examples that a round is judged by.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from fedpact.consensus.artefacts import SLICE_MAX_BYTES, open_slice, slice_aad
from fedpact.content.envelope import seal_model
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_at_random, cut_stratified, encode_slice
from fedpact.errors import ContentError, ContentUnavailable, DataError
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SealedSlice:
    """One encrypted slice: `cid` is that of the ciphertext, `sha256` (hex) of the plaintext."""

    cid: Cid
    sha256: str
    examples: int
    ciphertext: bytes


def cut(spec: Specification, evaluation: Dataset, keys: "AccountKeys") -> list[Dataset]:
    """Split all examples into one slice per round; in a classification every label is spread over
    the slices as evenly as its count allows.

    The split follows from the account's key: fixed, but unpredictable to others.
    Raises DataError if there are fewer examples than rounds, or, where the metric counts every
    label alike, fewer of one label.
    """
    secret = keys.derive("slice-cut", sha256(encode_slice(evaluation)).digest())
    generator = np.random.default_rng(int.from_bytes(secret, "big"))
    if spec.measure.by_label:
        _require_labels(spec, evaluation)
    if spec.task == "classification":
        indices = cut_stratified(evaluation.y, spec.rounds, generator)
    else:
        indices = cut_at_random(len(evaluation), spec.rounds, generator)
    return [Dataset(evaluation.x[part], evaluation.y[part], ()) for part in indices]


def _require_labels(spec: Specification, evaluation: Dataset) -> None:
    """Raise DataError if a label has fewer examples than there are rounds."""
    for label, name in enumerate(spec.labels):
        count = int((evaluation.y == label).sum())
        if count < spec.rounds:
            raise DataError(
                f"evaluation set: label {name!r} has {count} examples for {spec.rounds} rounds: "
                f"metric {spec.measure} needs at least one per round"
            )


def seal_slices(parts: list[Dataset], keys: "AccountKeys") -> tuple[SealedSlice, ...]:
    """Encrypt each slice with its own key; the first is for round 1.

    Raises DataError for a slice that is larger than members would fetch.
    """
    sealed = []
    for number, part in enumerate(parts, start=1):
        plain = encode_slice(part)
        digest = sha256(plain).digest()
        ciphertext = seal_model(slice_key(keys, digest), plain, slice_aad(number))
        if len(ciphertext) > SLICE_MAX_BYTES:
            raise DataError(
                f"evaluation set: the slice of round {number} has {len(ciphertext)} bytes, more "
                f"than {SLICE_MAX_BYTES}: give fewer or shorter examples"
            )
        sealed.append(SealedSlice(Cid.of(ciphertext), digest.hex(), len(part.y), ciphertext))
    return tuple(sealed)


def slice_key(keys: "AccountKeys", plaintext_digest: bytes) -> bytes:
    """The 32-byte key of the slice with this SHA-256 digest."""
    return keys.derive("slice-key", plaintext_digest)


def own_slices(
    get: Callable[[Cid, int], bytes], spec: Specification, keys: "AccountKeys"
) -> list[Dataset] | None:
    """The slices of this account's request, the first for round 1; None where one is lost. `get`:
    as a content store's."""
    parts = []
    for number, part in enumerate(spec.evaluation, start=1):
        try:
            sealed = get(Cid.parse(part.cid), SLICE_MAX_BYTES)
            parts.append(
                open_slice(spec, number, slice_key(keys, bytes.fromhex(part.sha256)), sealed)
            )
        except (ContentError, ContentUnavailable) as error:
            log.warning(
                "evaluation slice %d cannot be read (%s): the model is not measured or calibrated",
                number,
                error,
            )
            return None
    return parts


def all_slices(parts: list[Dataset]) -> Dataset:
    """All slices as one data set."""
    x = np.concatenate([part.x for part in parts])
    return Dataset(x, np.concatenate([part.y for part in parts]), ())
