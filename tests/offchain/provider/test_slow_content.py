"""An attack: a request names content that the store looks for without end.

An IPFS node says nothing for half a minute, and a hostile gateway for as long as it likes. Whatever
the request names, other requests' duties wait for none of it: a window of 20 seconds passed while
the daemon waited for one item.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.chain.records import Frame
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.content.keys import key_hash
from fedpact.learning.families import family_of
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider import dispatch
from fedpact.provider.backoff import Backoffs
from fedpact.provider.context import Cache, DutyResult, did, idle
from fedpact.provider.duties.messages import peers_of
from fedpact.provider.ledger.other_deployments import Elsewhere
from fedpact.provider.request import reading
from fedpact.provider.request.history import DaemonHistory
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from tests.support.specifications import specification
from tests.support.waiting import PATIENCE

HERE = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 0, {})
KEY = bytes(range(32))
HOSTILE, HONEST = 1, 2
NOWHERE = Cid.of(b"nowhere")
ABOUT = {"initial_model": str(NOWHERE)}


class Endless(EmbeddedStore):
    """Looks for what it lacks without end."""

    over = threading.Event()

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        if not self.has(cid):
            self.over.wait(PATIENCE)
        return super().get(cid, max_bytes)

    def another(self) -> "Endless":
        return Endless(self._folder)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Any]:
    store, cache = Endless(tmp_path), Cache()
    Endless.over.clear()
    cache.specifications[HOSTILE] = specification(**ABOUT)
    cache.request_keys[HOSTILE] = KEY
    found = Fetching(store)
    yield SimpleNamespace(
        store=store,
        fetching=found,
        cache=cache,
        deployment=HERE,
        client=SimpleNamespace(sender=SimpleNamespace()),
        metrics=None,  # nothing unexpected is counted
        keys=SimpleNamespace(address="0xaa"),
    )
    Endless.over.set()
    found.close()


def view_of(ctx: Any, request: int, frame: Frame) -> Any:
    facts = {"keyHash": "0x" + key_hash(KEY).hex(), "manifest": NOWHERE.digest.hex()}
    events: dict[str, list[dict[str, Any]]] = {
        "Started": [{"start": facts}],
        "SliceOpened": [{"sealedKey": "0x00"}],
        "RoundFinalised": [{"digest": NOWHERE.digest.hex()}],
        "Joined": [{"provider": "0xbb", "attributes": NOWHERE.digest.hex()}],
    }
    return SimpleNamespace(
        ctx=ctx,
        id=request,
        round=2,
        account="0xaa",
        pool=[SimpleNamespace(account="0xaa")],
        cohort=SimpleNamespace(members=[SimpleNamespace(account="0xbb")]),
        draws=False,
        frame=frame,
        deadline=frame.timestamp + 20,
        terms=SimpleNamespace(specification=NOWHERE.digest),
        events=lambda name, _=None: events[name],
    )


def specification_unknown(view: Any) -> object:
    view.ctx.cache.specifications.clear()
    return reading.specification_of(view)


def manifest(view: Any) -> object:
    view.ctx.cache.request_keys.clear()
    return reading.request_key(view)


def slice_opened(view: Any) -> object:
    return reading.evaluation_slice(view, 1)


def first_model(view: Any) -> object:
    return DaemonHistory(view).initial_model()


def global_model(view: Any) -> object:
    return DaemonHistory(view).final_model(1)


def local_model(view: Any) -> object:
    return reading.member_model(view, 2, 0, NOWHERE.digest)


def peers(view: Any) -> object:
    return peers_of(view)


def in_another_deployment(view: Any) -> object:
    others = Elsewhere.__new__(Elsewhere)
    terms = SimpleNamespace(specification=NOWHERE.digest)
    client = SimpleNamespace(market=SimpleNamespace(terms=lambda _: terms))
    others.__dict__.update(_clients={b"x": client}, _fetching=view.ctx.fetching)
    return others.asked_for(ReleaseId(b"x", 1, 1))


@pytest.mark.parametrize(
    "reads",
    [
        specification_unknown,
        manifest,
        slice_opened,
        first_model,
        global_model,
        local_model,
        peers,
        in_another_deployment,
    ],
)
def test_content_that_never_comes_delays_no_other_request(
    reads: Callable[[Any], object], ctx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "unseal", lambda *_: bytes(32))
    monkeypatch.setattr(reading, "committee_key", lambda *_: None)
    spec = ctx.cache.specifications[HOSTILE]
    parts = tuple(one.model_copy(update={"cid": str(NOWHERE)}) for one in spec.evaluation)
    ctx.cache.specifications[HOSTILE] = spec.model_copy(update={"evaluation": parts})
    monkeypatch.setattr(family_of(spec), "template", lambda _: SimpleNamespace(bytes=7), False)
    served: list[int] = []

    def next_duty(view: Any) -> DutyResult:
        if view.id == HOSTILE:
            reads(view)
            return idle("read what never comes")
        served.append(view.id)
        return did("its duty")

    frame, storage = Frame(9, "0xb9", 900), SimpleNamespace()
    monkeypatch.setattr(dispatch, "look", view_of)
    monkeypatch.setattr(dispatch, "next_duty", next_duty)
    served_here: Any = dispatch.Requests
    duties = served_here(ctx, storage, Backoffs(0.1))
    began = time.monotonic()
    for _ in range(5):
        duties.advance(HOSTILE, frame)
        assert duties.advance(HONEST, frame)
    assert time.monotonic() - began < PATIENCE
    assert served == [HONEST] * 5
