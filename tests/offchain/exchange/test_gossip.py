"""Exchanges of messages over real sockets."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from eth_account import Account

from fedpact.errors import RetrievalError
from fedpact.exchange import gossip
from fedpact.exchange.gossip import Exchange
from fedpact.exchange.messages import WORD_BYTES, Kind, Message
from fedpact.exchange.sending import AT_ONCE, FULL_BOARD, LONGEST, Sending
from fedpact.provider.endpoint import application
from fedpact.provider.endpoint.application import Endpoint
from fedpact.provider.endpoint.server import EndpointServer
from fedpact.retrieval.http import OwnAddress
from tests.offchain.exchange.test_messages import BALLOT, DIGEST, OTHER, signed
from tests.support.dripping import dripping
from tests.support.node_proxy import serving
from tests.support.waiting import PATIENCE, wait_until

FINGERPRINT = bytes(range(32))
PLACE = (BALLOT.request, BALLOT.round)
PATH = f"/exchange/{FINGERPRINT.hex()}/{PLACE[0]}/{PLACE[1]}"
JSON = {"content-type": "application/json"}


@contextmanager
def exchanging(endpoint: bool = True) -> Iterator[Exchange]:
    with ExitStack() as stack:
        exchange = Exchange(FINGERPRINT, OwnAddress(""), 0.05)
        stack.enter_context(exchange)
        if endpoint:
            server = EndpointServer(Endpoint(None, exchange=exchange), "127.0.0.1:0")
            exchange.address.url = f"http://{server.address}"
            server.start()
            stack.callback(server.stop)
        exchange.start()
        yield exchange


def sending(*messages: Message) -> bytes:
    """As a peer that holds nothing else sends them."""
    return Sending(messages=messages).encode()


def held(exchange: Exchange, kind: Kind) -> set[int]:
    return set(exchange.board(PLACE).held(kind))


def test_one_endpoint_among_three_is_enough() -> None:
    with exchanging() as a, exchanging(False) as b, exchanging(False) as c:
        for each in (a, b, c):
            each.open(BALLOT, [a.own, "http://127.0.0.1:1", "not an address"], lambda: ())
        for seat, each in enumerate((a, b, c)):
            each.say(PLACE, signed(Kind.MODEL, seat, DIGEST))
        for each in (a, b, c):
            wait_until(lambda: held(each, Kind.MODEL) == {0, 1, 2})  # noqa: B023
        assert {one.seat for one in c.fresh(PLACE)} == {0, 1}
        assert c.fresh(PLACE) == []


def test_what_was_heard_before_is_taken_up_again() -> None:
    with exchanging(False) as a:
        a.open(BALLOT, [], lambda: [signed(Kind.MODEL, 1, DIGEST)])
        a.open(BALLOT, [], lambda: pytest.fail("the board is open"))
        assert held(a, Kind.MODEL) == {1}
        a.forget(BALLOT.request, BALLOT.round + 1)
        with pytest.raises(RetrievalError, match="not exchanged here"):
            a.answer(FINGERPRINT.hex(), *PLACE, b"{}")


def test_a_contradiction_reaches_everybody() -> None:
    with exchanging() as a, exchanging() as b:
        for each in (a, b):
            each.open(BALLOT, [a.own, b.own], lambda: ())
        a.say(PLACE, signed(Kind.MODEL, 0, DIGEST))
        b.say(PLACE, signed(Kind.MODEL, 0, OTHER))
        for each in (a, b):
            wait_until(lambda: each.board(PLACE).contradictions)  # noqa: B023


def test_strangers_get_an_answer_and_leave_nothing_behind() -> None:
    with exchanging() as a, httpx.Client(base_url=a.own, trust_env=False) as client:
        a.open(BALLOT, [], lambda: ())
        a.say(PLACE, signed(Kind.MODEL, 0, DIGEST))
        forged = signed(Kind.MODEL, 1, DIGEST).model_copy(update={"seat": 2})
        answer = client.post(PATH, content=sending(forged), headers=JSON)
        assert Sending.decode(answer.content).messages == (signed(Kind.MODEL, 0, DIGEST),)
        assert client.post(PATH, content=b"[]", headers=JSON).status_code == 400
        assert client.post(PATH, content=b"{}").status_code == 415
        assert client.post(PATH + "1", content=b"{}", headers=JSON).status_code == 400
        assert client.post(PATH, content=b"[" * (LONGEST + 1), headers=JSON).status_code == 413
        # The endpoint takes whatever the exchange may send.
        full = b'{"version":1' + b" " * (LONGEST - 13) + b"}"
        assert len(full) == LONGEST
        assert client.post(PATH, content=full, headers=JSON).status_code == 200
        assert client.get("/retrieval/about").status_code == 404
        assert held(a, Kind.MODEL) == {0}


def test_a_peer_for_which_messages_are_too_long_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody saw why a member stayed out of each round."""
    monkeypatch.setattr(application, "LONGEST", 200)
    with exchanging() as a, exchanging(False) as b:
        for each in (a, b):
            each.open(BALLOT, [a.own], lambda: ())
        b.say(PLACE, signed(Kind.MODEL, 0, DIGEST))
        wait_until(lambda: (a.own, 413) in b._refusing)
        b.say(PLACE, signed(Kind.MODEL, 1, DIGEST))
        wait_until(lambda: len([one for one in caplog.records if "413" in one.msg]) == 1)
        monkeypatch.setattr(application, "LONGEST", LONGEST)
        wait_until(lambda: held(a, Kind.MODEL) == {0, 1})
        # A peer that refuses and takes in turn was named each second time.
        monkeypatch.setattr(application, "LONGEST", 200)
        ask, statuses = b._http.answer, list[int]()

        def answer(*args: Any) -> tuple[int, bytes]:
            found = ask(*args)
            statuses.append(found[0])
            return found

        monkeypatch.setattr(b._http, "answer", answer)
        b.say(PLACE, signed(Kind.MODEL, 2, DIGEST))
        wait_until(lambda: statuses.count(413) > 1)
        [told] = [one.getMessage() for one in caplog.records if "413" in one.msg]
        assert told.startswith(f"{a.own} refuses ")
        assert f"daemons take up to {LONGEST}:" in told


def test_a_list_of_forged_messages_costs_one_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def recover(*args: Any, **more: Any) -> Any:
        checked.append(1)
        return "0x" + "11" * 20

    with exchanging(False) as a:
        a.open(BALLOT, [], lambda: ())
        forged = signed(Kind.MODEL, 1, DIGEST).model_copy(update={"seat": 2})
        monkeypatch.setattr(Account, "recover_message", recover)
        a.answer(FINGERPRINT.hex(), *PLACE, sending(*[forged] * AT_ONCE))
    assert len(checked) == 1


def test_a_peer_that_never_answers_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "TIMEOUT_SECONDS", 600.0)
    with exchanging() as a, exchanging(False) as b, socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        for each in (a, b):
            each.open(BALLOT, [silent, a.own], lambda: ())
        accepted = [deaf.accept()[0] for _ in range(2)]
        a.say(PLACE, signed(Kind.MODEL, 0, DIGEST))
        b.say(PLACE, signed(Kind.MODEL, 1, DIGEST))
        for each in (a, b):
            wait_until(lambda: held(each, Kind.MODEL) == {0, 1})  # noqa: B023
        for connection in accepted:
            connection.close()


def test_a_peer_whose_answer_never_ends_delays_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that came byte by byte kept `request follow` from ending."""
    monkeypatch.setattr(gossip, "WHOLE_SECONDS", 0.3)
    with dripping("headers") as slow, exchanging(False) as a:
        a.open(BALLOT, [slow], lambda: ())
        wait_until(lambda: slow in a._busy)
        began = time.monotonic()
        a.close()
        assert time.monotonic() - began < PATIENCE


def test_a_peer_that_always_has_more_keeps_nobody_from_asking_others() -> None:
    """One that made up a word more in each answer was asked alone, for as long as it liked."""
    answers = []

    class Insatiable(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answers.append(1)
            count = len(answers) % 1_000
            words = [b"\xff" + n.to_bytes(WORD_BYTES - 1) for n in range(count)]
            body = Sending.of(words, ()).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with exchanging() as honest, exchanging(False) as a, serving(Insatiable) as hostile:
        honest.open(BALLOT, [], lambda: ())
        a.open(BALLOT, [honest.own, hostile], lambda: ())
        wait_until(lambda: len(answers) > 2)
        honest.say(PLACE, signed(Kind.MODEL, 1, DIGEST))
        wait_until(lambda: held(a, Kind.MODEL) == {1})


def test_what_follows_at_once_is_bounded_and_delays_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peers = [f"http://127.0.0.1:{port}" for port in (1, 2)]
    exchange, asked = Exchange(FINGERPRINT, OwnAddress(""), 600.0), list[str]()

    def unfinished(_ask: object, place: Any, peer: str) -> None:
        asked.append(peer)
        exchange._unfinished.add((place, peers[0]))

    monkeypatch.setattr(exchange._workers, "submit", unfinished)
    exchange.open(BALLOT, peers, lambda: ())
    for _ in range(FULL_BOARD + 9):
        exchange._turn()
        exchange._busy.clear()
    assert asked == peers + peers[:1] * FULL_BOARD
    monkeypatch.setattr(exchange, "_seconds", 0.0)
    asked.clear()
    for _ in peers:
        exchange._turn()
        exchange._busy.clear()
    assert set(asked) == set(peers)
    exchange.close()


def test_without_news_one_peer_is_asked_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten members that asked each other all the time kept two cores busy."""
    peers = [f"http://127.0.0.1:{port}" for port in (1, 2, 3)]
    exchange, asked = Exchange(FINGERPRINT, OwnAddress(""), 0.0), list[str]()

    def turn() -> list[str]:
        asked.clear()
        exchange._turn()
        exchange._busy.clear()
        return sorted(asked)

    monkeypatch.setattr(exchange._workers, "submit", lambda ask, place, peer: asked.append(peer))
    exchange.open(BALLOT, peers, lambda: ())
    assert turn() == peers
    assert sorted(turn() + turn() + turn()) == peers
    exchange.say(PLACE, signed(Kind.MODEL, 0, DIGEST))
    assert turn() == peers
    assert len(turn()) == 1
    exchange.forget(BALLOT.request, BALLOT.round + 1)
    assert turn() == []
    exchange.close()
