"""Who declined a request: what strangers publish and how slowly they answer stops neither list nor
request, and what fails once is read again."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from fedpact.chain.client import ChainClient
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import StoreUnreachable
from fedpact.exchange.declines import declined
from fedpact.requester import declines as module
from fedpact.requester.declines import Declines
from fedpact.retrieval.profiles.document import LONGEST_DOCUMENT
from fedpact.types.decline_reason import Reason
from tests.support.dripping import dripping
from tests.support.node_proxy import Message, node_in_front, serving
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from fedpact.chain.devnet import Devnet
    from fedpact.types.cid import Cid
    from tests.offchain.requester.conftest import Played, Scene


def test_a_profile_that_is_too_large_is_passed_over(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """`request status` ended with "content is too large" for everybody."""
    account, huge = scene.people.members[0], scene.store.put(bytes(LONGEST_DOCUMENT + 1))
    scene.client.registry.set_profile(account, huge.digest, b"a" * 32)
    request = scene.create()
    with (
        caplog.at_level(logging.DEBUG, module.__name__),
        Declines(scene.client, scene.store, request.id) as declines,
    ):
        assert declines.everybody() == {}
    assert re.search(f"the address of {account.address.lower()}: .* more than the", caplog.text)


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_daemon_that_answers_byte_by_byte_holds_up_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Its thread went on after the end, and the process with it."""
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    with dripping(part) as slow:
        joined_elsewhere(scene, slow)
        request, began = scene.create(), time.monotonic()
        with Declines(scene.client, scene.store, request.id) as declines:
            assert declines.everybody() == {}
            assert declines._asked
        assert not [one for one in threading.enumerate() if one.name.startswith("declines")]
        assert time.monotonic() - began < PATIENCE


class Unsteady(EmbeddedStore):
    """Answers nothing at first, in all threads together."""

    failures = 2

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        if Unsteady.failures:
            Unsteady.failures -= 1
            raise StoreUnreachable("the store is away")
        return super().get(cid, max_bytes)

    def another(self) -> Unsteady:
        return Unsteady(self._folder)


def test_a_decline_is_heard_after_the_store_was_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a store or node did not give at once was never asked for again."""
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(Unsteady, "failures", 2)
    request = scene.create()
    with declining(scene, request.id) as address:
        joined_elsewhere(scene, address)
        with Declines(scene.client, Unsteady(scene.folder / "content"), request.id) as declines:
            ends = time.monotonic() + PATIENCE
            while not declines.counted and time.monotonic() < ends:
                declines.look()
                time.sleep(0.01)
            assert declines.counted == {Reason.PAY.value: 1}


def test_the_members_of_all_other_requests_are_read_in_one_pass(
    scene: Scene, anvil: Devnet
) -> None:
    """Each of 20 requests was scanned for from the first block on, and then its events."""
    others = [scene.create() for _ in range(3)]
    for one in others:
        one.enrol(scene.store.put(b"{}").digest)
    request, asked = scene.create(), Counter[str]()
    with node_in_front(anvil.url, lambda message: asked.update([message["method"]])) as url:
        client = ChainClient.connect(url, scene.client.deployment)
        with Declines(client, scene.store, request.id) as declines:
            assert declines.everybody() == {}
        client.close()
    blocks = scene.client.frame().block_number - scene.client.deployment.block
    assert 2 <= asked["eth_getLogs"] <= 2 * (1 + blocks // 250)


def test_nothing_is_read_any_more_once_it_is_closed(
    scene: Scene, anvil: Devnet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader went through up to 128 queries of logs, for nobody; then it outlived the client,
    and told of that with a trace."""
    monkeypatch.setattr("fedpact.chain.log_ranges.FIRST_RANGE", 1)
    request, queries, asked = scene.create(), list[object](), threading.Event()

    def until_closed(message: Message) -> None:
        if message["method"] == "eth_getLogs":
            queries.append(message)
            asked.set()
            declines._stop.wait(PATIENCE)

    with node_in_front(anvil.url, until_closed) as url:
        client = ChainClient.connect(url, scene.client.deployment)
        declines = Declines(client, scene.store, request.id)
        declines.look()
        assert asked.wait(PATIENCE)
        declines.close()
        assert declines._reader is not None
        assert not declines._reader.is_alive()
        client.close()
    assert len(queries) == 1
    assert "cannot be read" not in caplog.text


def joined_elsewhere(scene: Scene, endpoint: str) -> Played:
    """A request that all members have joined with records that name this address."""
    request = scene.create()
    request.enrol(scene.store.put(json.dumps({"endpoint": endpoint}).encode()).digest)
    return request


@contextmanager
def declining(scene: Scene, request: int) -> Iterator[str]:
    """Address of the first member's daemon, which declines a request."""
    said = declined(scene.people.members[0], scene.client.rounds.domain, request, Reason.PAY)

    class Daemon(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            pass

    with serving(Daemon) as address:
        yield address
