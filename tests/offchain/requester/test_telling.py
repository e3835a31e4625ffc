"""When the requester sends a slice's key to the members' daemons."""

from collections.abc import Iterator

import pytest
from eth_utils.crypto import keccak

from fedpact.exchange.boards import Exchange
from fedpact.exchange.messages import Kind, Message, encode
from fedpact.requester.look import RequestLook, look
from fedpact.requester.telling import Telling
from fedpact.types.document import canonical_json
from tests.offchain.requester.conftest import Played, Scene

SEALED = bytes(range(80))


@pytest.fixture
def exchange(scene: Scene) -> Iterator[Exchange]:
    """Not started: nothing leaves it, and what members say is put in by hand."""
    with scene.requester.exchange(0.01) as made:
        yield made


@pytest.fixture
def telling(scene: Scene, exchange: Exchange) -> Telling:
    return Telling(exchange, scene.store, scene.people.requester)


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
    exchange.answer(fingerprint, request.id, 1, encode([message]))


def sent(exchange: Exchange, request: Played) -> bool:
    return bool(exchange.board((request.id, 1)).held(Kind.SLICE))


def seen(request: Played) -> RequestLook:
    return look(request.client, request.id)


def test_a_slice_is_sent_once_all_have_signed_for_their_models(
    telling: Telling, exchange: Exchange, request_: Played
) -> None:
    assert telling.tell(seen(request_), SEALED)
    for seat in (0, 1):
        say_model(exchange, request_, seat)
        telling.tell(seen(request_), SEALED)
        assert not sent(exchange, request_)
    say_model(exchange, request_, 2)
    telling.tell(seen(request_), SEALED)
    assert sent(exchange, request_)


def test_a_submission_on_chain_binds_as_well(
    telling: Telling, exchange: Exchange, request_: Played
) -> None:
    request_.submit(1)
    telling.tell(seen(request_), SEALED)
    for seat in (0, 2):
        assert not sent(exchange, request_)
        say_model(exchange, request_, seat)
        telling.tell(seen(request_), SEALED)
    assert sent(exchange, request_)


def test_what_members_do_not_use_goes_on_chain(
    scene: Scene, telling: Telling, exchange: Exchange, request_: Played
) -> None:
    request_.submit(0, 1, 2)
    assert telling.tell(seen(request_), SEALED)
    assert sent(exchange, request_)
    scene.wait(60)
    assert not telling.tell(seen(request_), SEALED)


def test_without_any_address_it_goes_on_chain_at_once(scene: Scene, telling: Telling) -> None:
    assert not telling.tell(seen(scene.create().begin()), SEALED)
