"""What a daemon remembers of requests, and for how long."""

import logging
from collections import Counter
from dataclasses import fields
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.background import Background
from fedpact.chain.records import Frame
from fedpact.errors import DataError
from fedpact.provider.context import Cache, Context
from fedpact.provider.request.view import RequestView
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.types.deployment import Deployment
from tests.support.waiting import PATIENCE

HERE = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 0, {})
OWN = "0x" + "aa" * 20


def serve(cache: Cache, request: int, rounds: int) -> None:
    """Remember something of each kind, as the duties of a request do."""
    for one in fields(Cache):
        kept, kind = getattr(cache, one.name), str(one.type)
        if not isinstance(kept, dict | set):
            continue
        keys: list[Any] = [request]
        if "tuple[object, ...]" in kind:
            keys = [(request, number, phase, 0) for number in range(rounds) for phase in range(2)]
        elif kind.startswith(("dict[tuple[int, int]", "set[tuple[int, int]")):
            keys = [(request, number) for number in range(rounds)]
        for key in keys:
            if isinstance(kept, dict):
                kept[key] = b"something"
            else:
                kept.add(key)


def sizes(cache: Cache, *, lasting: bool) -> Counter[str]:
    return Counter(
        {
            one.name: len(kept)
            for one in fields(Cache)
            if isinstance(kept := getattr(cache, one.name), dict | set)
            if bool(one.metadata) == lasting
        }
    )


def test_nothing_is_kept_of_a_hundred_requests_that_are_over() -> None:
    """Specifications, keys, events, pinned slices and much else of each stayed until the end."""
    cache = Cache()
    for request in range(100):
        serve(cache, request, 5)
        assert min(sizes(cache, lasting=False).values()) > 0
        cache.end(request)
        assert sum(sizes(cache, lasting=False).values()) == 0
    assert set(sizes(cache, lasting=True)) == {"no_share", "sales"}
    cache.clear()
    assert cache == Cache()


def test_the_first_model_stays_for_as_long_as_its_request() -> None:
    """Each round trains and judges with it, and fetched it again once earlier rounds were dropped:
    a requester that took it back ended its request."""
    cache = Cache()
    serve(cache, 1, 5)
    cache.forget(1, 4)
    assert set(cache.globals) == {(1, 0), (1, 4)}
    assert set(cache.models) == {(1, 4)}
    cache.end(1)
    assert not cache.globals


def test_only_what_requests_that_are_due_need_is_kept() -> None:
    """Also of those that were declined, ended without this account, or were looked at once."""
    cache, other = Cache(), Cache()
    for request in range(20):
        serve(cache, request, 3)
    serve(other, 7, 3)
    cache.keep_only([7, 99])
    assert sizes(cache, lasting=False) == sizes(other, lasting=False)


def test_events_of_others_make_no_request_read_its_own_again(tmp_path: Path) -> None:
    """Every event on the chain made each request under way read all of its events again."""
    with ProviderState(tmp_path / "state.sqlite", HERE, OWN) as state:
        read: list[int] = []
        events_of = state.events_of
        state.events_of = lambda request: read.append(request) or events_of(request)  # type: ignore
        ctx: Any = SimpleNamespace(state=state, cache=Cache(), keys=SimpleNamespace(address=OWN))

        def joined(request: int) -> bool:
            facts: Any = SimpleNamespace()
            return RequestView(ctx, Frame(1, "0x01", 0), request, facts, facts).has_joined

        for block in range(1, 6):
            created = (block, 0, "RequestCreated", {"request": block})
            state.ingest([created], block, f"0x{block:02x}")
            assert not joined(1)
        assert read == [1]
        joins = (6, 0, "Joined", {"request": 1, "provider": OWN})
        state.ingest([joins], 6, "0x06")
        assert joined(1)
        state.ingest([], 6, "0x66", first=6)  # a reorganisation
        assert not joined(1)
        assert read == [1, 1, 1]


def test_records_that_cannot_be_kept_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """The error vanished with the thread, and showed in the first training."""
    tried = Event()

    def source(_: str) -> object:
        tried.set()
        raise DataError("file x.csv is empty")

    reading = Background(0.0)
    own: Any = SimpleNamespace(deployment=HERE, reading=reading)
    data: Any = SimpleNamespace(records=SimpleNamespace(source=source))
    with caplog.at_level(logging.WARNING):
        Context.keep_records(own, 3, data)
        assert tried.wait(PATIENCE)
        reading.close()
    assert "request 3: its records are not kept yet: file x.csv is empty" in caplog.text
