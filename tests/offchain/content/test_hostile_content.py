"""Attacks through content: the bytes behind a digest on chain are checked before they count.

Lu et al. and Wang et al. trust the pointer; here a member that finds other bytes, bytes that do not
open under the owner's name, or bytes that are no model, votes INVALID.
"""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from fedpact.consensus.artefacts import RoundRef, model_cid, open_local, seal_local
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import ContentMismatch, DecryptionError, FedpactError, ModelError
from fedpact.learning.artefact import Template, encode
from fedpact.types.deployment import Deployment

KEY = bytes(range(32))
OWNER, THIEF = "0x" + "11" * 20, "0x" + "22" * 20
ROUND_REF = RoundRef(bytes([7]) * 32, 5, 2)
MODEL = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
TEMPLATE = Template.of(MODEL)
LIMIT = 2**20


def test_a_model_replaced_behind_its_hash_is_not_read(tmp_path: Path) -> None:
    """The owner replaces the file after its digest is on chain."""
    store = EmbeddedStore(tmp_path)
    cid = store.put(seal_local(encode(MODEL), KEY, ROUND_REF, OWNER))
    assert model_cid(TEMPLATE, cid.digest) == cid
    other = seal_local(encode({"w": -MODEL["w"]}), KEY, ROUND_REF, OWNER)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 100]
    path.chmod(0o600)
    path.write_bytes(other)
    with pytest.raises(ContentMismatch):
        store.get(cid, LIMIT)


def test_a_plagiarised_model_does_not_open_under_another_name() -> None:
    """A copied digest refers to bytes that are bound to their owner."""
    sealed = seal_local(encode(MODEL), KEY, ROUND_REF, OWNER)
    assert np.array_equal(open_local(sealed, KEY, ROUND_REF, OWNER, TEMPLATE)["w"], MODEL["w"])
    with pytest.raises(DecryptionError):
        open_local(sealed, KEY, ROUND_REF, THIEF, TEMPLATE)


@pytest.mark.parametrize(
    "round_ref",
    [
        RoundRef(bytes([8]) * 32, 5, 2),
        RoundRef(ROUND_REF.fingerprint, 6, 2),
        RoundRef(ROUND_REF.fingerprint, 5, 3),
    ],
)
def test_a_model_from_elsewhere_is_not_accepted_again(round_ref: RoundRef) -> None:
    """From an earlier round, another request, or an earlier chain."""
    sealed = seal_local(encode(MODEL), KEY, ROUND_REF, OWNER)
    with pytest.raises(DecryptionError):
        open_local(sealed, KEY, round_ref, OWNER, TEMPLATE)


def test_a_chain_started_anew_is_another_deployment() -> None:
    """Local chains repeat their ids and addresses, but not their first block."""
    parts = (31337, "0x" + "11" * 32, "0x1", "0x2", "0x3", 1, {})
    again = (31337, "0x" + "12" * 32, "0x1", "0x2", "0x3", 1, {})
    assert Deployment(*parts).fingerprint != Deployment(*again).fingerprint


class Bomb:
    """Runs code when it is unpickled."""

    called = False

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return Bomb.go_off, ()

    @staticmethod
    def go_off() -> None:
        Bomb.called = True


HOSTILE = {
    "pickle": pickle.dumps(Bomb()),
    "zip bomb": gzip.compress(bytes(10**7)),
    "nothing": b"\0",
    "a larger model": encode({"w": np.zeros((64, 64), np.float32)}),
    "not a number": encode({"w": np.full((2, 3), np.nan, np.float32)}),
    "infinite": encode({"w": np.full((2, 3), -np.inf, np.float32)}),
    "another name": encode({"v": MODEL["w"]}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_bytes_that_are_no_model_are_refused_unread(kind: str) -> None:
    """Sealed as an insider can: with the right key, round and account."""
    sealed = seal_local(HOSTILE[kind], KEY, ROUND_REF, OWNER)
    with pytest.raises(ModelError):
        open_local(sealed, KEY, ROUND_REF, OWNER, TEMPLATE)
    assert not Bomb.called


def test_bytes_larger_than_the_model_are_not_fetched(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    cid = store.put(bytes(10**6))
    with pytest.raises(FedpactError):
        store.get(cid, TEMPLATE.bytes + 16)
