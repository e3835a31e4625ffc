"""A request's encrypted artefacts: what is sealed under which key, and how large it is.

Provider, requester and auditor all use these functions, so that every member that computes an
aggregate gets the same bytes and the same CID.
"""

from dataclasses import dataclass
from hashlib import sha256

from fedpact.content.envelope import OVERHEAD_BYTES, Aad, open_model, seal_model
from fedpact.content.keys import delivery_key, round_key
from fedpact.data.dataset import Dataset
from fedpact.data.slices import decode_slice
from fedpact.errors import ContentError, DataError
from fedpact.learning.artefact import Model, Template, decode, encode
from fedpact.learning.families import represented
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification

SLICE_MAX_BYTES = 64 * 2**20
"""Largest sealed evaluation slice that anyone fetches."""

_NO_DEPLOYMENT = bytes(32)


@dataclass(frozen=True)
class RoundRef:
    """A round of a request in a deployment."""

    fingerprint: bytes
    request_id: int
    round: int


def sealed_bytes(template: Template) -> int:
    """Size of a sealed model of this template; it decides the CID's codec."""
    return template.bytes + OVERHEAD_BYTES


def model_cid(template: Template, digest: bytes) -> Cid:
    """The CID of a sealed model whose digest is on chain."""
    return Cid.of_digest(digest, sealed_bytes(template))


def seal_local(artefact: bytes, request_key: bytes, round_ref: RoundRef, owner: str) -> bytes:
    """Encrypt `owner`'s encoded local model for the holders of the request key."""
    key = round_key(request_key, round_ref.fingerprint, round_ref.request_id, round_ref.round)
    return seal_model(key, artefact, _aad(round_ref, "model", owner))


def open_local(
    sealed: bytes, request_key: bytes, round_ref: RoundRef, owner: str, template: Template
) -> Model:
    """Decrypt and check a local model; raises DecryptionError or ModelError."""
    return decode(open_sealed_local(sealed, request_key, round_ref, owner), template)


def open_sealed_local(sealed: bytes, request_key: bytes, round_ref: RoundRef, owner: str) -> bytes:
    """The encoded local model that `seal_local` sealed; raises DecryptionError."""
    key = round_key(request_key, round_ref.fingerprint, round_ref.request_id, round_ref.round)
    return open_model(key, sealed, _aad(round_ref, "model", owner))


def seal_global(model: Model, request_key: bytes, round_ref: RoundRef) -> bytes:
    """Encrypt a round's global model under a key of its own, which alone the requester gets."""
    key = delivery_key(request_key, round_ref.fingerprint, round_ref.request_id, round_ref.round)
    return seal_model(key, encode(model), _aad(round_ref, "global", ""))


def open_global(sealed: bytes, key: bytes, round_ref: RoundRef, template: Template) -> Model:
    """Decrypt and check a global model by its delivery key; DecryptionError, ModelError."""
    return decode(open_model(key, sealed, _aad(round_ref, "global", "")), template)


def slice_aad(number: int) -> Aad:
    """The associated data of round `number`'s slice: it is sealed before its request exists."""
    return Aad(_NO_DEPLOYMENT, 0, number, "slice", "")


def open_slice(spec: Specification, number: int, key: bytes, sealed: bytes) -> Dataset:
    """Round `number`'s evaluation slice, in the form on which the model family predicts fastest;
    raises ContentError if it is not the one that the specification fixes."""
    plain = open_model(key, sealed, slice_aad(number))
    found, fixed = sha256(plain).hexdigest(), spec.evaluation[number - 1].sha256
    if found != fixed:
        raise ContentError(f"slice {number} has sha-256 {found}, the specification says {fixed}")
    try:
        return represented(spec, decode_slice(plain, spec))
    except DataError as error:
        raise ContentError(f"slice {number}: {error}") from error


def _aad(round_ref: RoundRef, kind: str, owner: str) -> Aad:
    return Aad(round_ref.fingerprint, round_ref.request_id, round_ref.round, kind, owner)
