"""When the requester sends a slice's key to the members' daemons."""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.exchange.gossip import Exchange
from fedpact.exchange.messages import Ballot, Kind, Message
from fedpact.exchange.sending import Sending
from fedpact.requester.request_view import RequestLook, look
from fedpact.requester.slice_messages import SliceMessages
from fedpact.types.cid import Cid
from fedpact.types.document import canonical_json
from fedpact.types.requests import Join
from tests.offchain.requester.conftest import Played, Scene
from tests.support.waiting import PATIENCE

SEALED = bytes(range(80))


@pytest.fixture
def exchange(scene: Scene) -> Iterator[Exchange]:
    """Not started: nothing leaves it, and what members say is put in by hand."""
    with scene.requester.exchange(0.01) as made:
        yield made


@pytest.fixture
def messages(scene: Scene, exchange: Exchange) -> SliceMessages:
    return SliceMessages(exchange, Fetching(scene.store, 20.0), scene.people.requester)


@pytest.fixture
def request_(scene: Scene) -> Played:
    """Round 1 waits for models; the members' daemons have an address."""
    record = scene.store.put(canonical_json({"endpoint": "http://127.0.0.1:9"}))
    request = scene.create()
    request.enrol(record.digest)
    request.start()
    return request


def say_model(exchange: Exchange, request: Played, seat: int) -> None:
    keys, digest = request.seats[seat], keccak(text=f"model {seat}")
    typed = request.client.rounds.domain.typed("Model", request.id, 1, digest)
    signature = keys.sign_typed(*typed).hex()
    message = Message(kind=Kind.MODEL, seat=seat, value=digest.hex(), signature=signature)
    fingerprint = request.client.deployment.fingerprint.hex()
    exchange.answer(fingerprint, request.id, 1, Sending.of((), [message]).encode())


def sent(exchange: Exchange, request: Played) -> bool:
    return bool(exchange.board((request.id, 1)).held(Kind.SLICE))


def seen(request: Played) -> RequestLook:
    return look(request.client, request.id)


def test_a_slice_is_sent_once_all_have_signed_for_their_models(
    messages: SliceMessages, exchange: Exchange, request_: Played
) -> None:
    assert messages.tell(seen(request_), SEALED)
    for seat in (0, 1):
        say_model(exchange, request_, seat)
        messages.tell(seen(request_), SEALED)
        assert not sent(exchange, request_)
    say_model(exchange, request_, 2)
    messages.tell(seen(request_), SEALED)
    assert sent(exchange, request_)


def test_a_submission_on_chain_binds_as_well(
    messages: SliceMessages, exchange: Exchange, request_: Played
) -> None:
    request_.submit(1)
    messages.tell(seen(request_), SEALED)
    for seat in (0, 2):
        assert not sent(exchange, request_)
        say_model(exchange, request_, seat)
        messages.tell(seen(request_), SEALED)
    assert sent(exchange, request_)


def test_what_members_do_not_use_goes_on_chain(
    scene: Scene, messages: SliceMessages, exchange: Exchange, request_: Played
) -> None:
    request_.submit(0, 1, 2)
    assert messages.tell(seen(request_), SEALED)
    assert sent(exchange, request_)
    scene.wait(60)
    assert not messages.tell(seen(request_), SEALED)


def test_without_any_address_it_goes_on_chain_at_once(
    scene: Scene, messages: SliceMessages
) -> None:
    assert not messages.tell(seen(scene.create().begin()), SEALED)


class Endless(EmbeddedStore):
    """Looks for what it lacks without end."""

    over = threading.Event()

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.over.wait(PATIENCE)
        return super().get(cid, max_bytes)

    def another(self) -> "Endless":
        return Endless(self._folder)


def test_records_that_are_nowhere_delay_no_other_request(
    scene: Scene, exchange: Exchange, tmp_path: Path
) -> None:
    """An attack: members join with records that an IPFS node looks for half a minute each, at each
    look, while the slices of all requests of this requester wait."""
    request = scene.create()
    request.enrol(keccak(text="nowhere"))
    request.start()
    messages = SliceMessages(exchange, Fetching(Endless(tmp_path)), scene.people.requester)
    began = time.monotonic()
    for _ in range(3):
        assert not messages.tell(seen(request), SEALED)
    assert time.monotonic() - began < PATIENCE
    Endless.over.set()


def test_only_members_of_the_round_are_asked(
    scene: Scene, messages: SliceMessages, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others answer that they know no such round: among a hundred, models were seen late."""
    request, endpoints = scene.create({"max_pool": 3}, max_providers=2), {}
    pool = request.client.pool
    for number, keys in enumerate(scene.people.members):
        endpoints[keys.address] = f"http://127.0.0.1:{number + 1}"
        record = scene.store.put(canonical_json({"endpoint": endpoints[keys.address]}))
        request.send(keys, pool.enrol(request.id, [Join(keys.address, 100, record.digest)], []))
    request.start()
    asked: list[str] = []
    opened = exchange.open

    def noting(ballot: Ballot, peers: Iterable[str], known: Any) -> None:
        asked.extend(peers)
        opened(ballot, peers, known)

    monkeypatch.setattr(exchange, "open", noting)
    assert messages.tell(seen(request), SEALED)
    assert len(request.seats) == 2
    assert set(asked) == {endpoints[keys.address] for keys in request.seats}
