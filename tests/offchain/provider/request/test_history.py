"""A request's history as a daemon and its owner read it from chain and store."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedpact.chain.bindings.events import RoundFailed, RoundFinalised, Started
from fedpact.consensus.artefacts import RoundRef, seal_global
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.content.keys import key_hash
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.provider import personal
from fedpact.provider.context import Cache
from fedpact.provider.request.history import DaemonHistory
from fedpact.types.deployment import Deployment
from tests.support.specifications import specification

HERE = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 0, {})
REQUEST, KEY = 3, bytes(range(32))
SPEC = specification(rounds=3)


def model() -> Model:
    return {name: np.full_like(one, 0.5) for name, one in family_of(SPEC).initial(SPEC, 0).items()}


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path)


@pytest.fixture
def digest(store: EmbeddedStore) -> bytes:
    """Of the first final model, after a round that failed, as members seal it."""
    return store.put(seal_global(model(), KEY, RoundRef(HERE.fingerprint, REQUEST, 1))).digest


def test_a_member_opens_the_global_model_after_a_failed_round(
    store: EmbeddedStore, digest: bytes
) -> None:
    """It took the key of the round's number: whoever was not there could not train any more."""
    cache, found = Cache(), Fetching(store, 5.0)
    cache.specifications[REQUEST], cache.request_keys[REQUEST] = SPEC, KEY
    events: dict[str, list[dict[str, Any]]] = {
        "Started": [{"start": {"keyHash": key_hash(KEY).hex()}}],
        "RoundFailed": [{"round": 1}],
        "RoundFinalised": [{"round": 2, "digest": digest.hex()}],
    }
    view: Any = SimpleNamespace(
        ctx=SimpleNamespace(cache=cache, fetching=found, deployment=HERE),
        id=REQUEST,
        events=lambda name, round_=None: [
            one for one in events[name] if round_ in (None, one.get("round"))
        ],
    )
    opened = DaemonHistory(view).final_model(2)
    assert {name: one.tolist() for name, one in opened.items()} == {
        name: one.tolist() for name, one in model().items()
    }
    found.close()


def test_a_personal_model_begins_from_the_global_one_after_a_failed_round(
    store: EmbeddedStore, digest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    start: Any = SimpleNamespace(manifest=bytes(32), key_hash=key_hash(KEY))
    at: Any = None
    events = [
        Started(at, REQUEST, "0xaa", 0, start),
        RoundFailed(at, REQUEST, 1, False),
        RoundFinalised(at, REQUEST, 2, 0, digest, 0, 1),
    ]
    client: Any = SimpleNamespace(deployment=HERE, request_events=lambda _, until: events)
    monkeypatch.setattr(personal, "sealed_to", lambda *_: KEY)
    keys: Any = None
    number, opened = personal._global_model(client, keys, store, REQUEST, SPEC)
    assert number == 2
    assert set(opened) == set(model())
