"""The endpoint over real sockets: what it answers, refuses and survives."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.errors import NodeUnreachable, SearchRefused, SettingsError
from fedpact.provider.endpoint.application import Endpoint
from fedpact.provider.endpoint.limits import EndpointLimits, RateLimit
from fedpact.provider.endpoint.server import EndpointServer
from fedpact.retrieval.http import HttpTransport, OwnAddress, is_private
from fedpact.retrieval.messages import (
    Acknowledged,
    Announce,
    Contact,
    Members,
    Record,
    decode_request,
    encode,
)
from fedpact.retrieval.search_api import About, Match, SearchAnswer, SearchBody, openapi
from fedpact.retrieval.signature import Signature
from tests.support.waiting import PATIENCE, wait_until

QUERY = Signature((3,), (65_535,))
RECORD = Record(bytes(range(20)), QUERY, b"{}")
CLIENT = httpx.Client(trust_env=False, timeout=PATIENCE)
OCTETS = {"content-type": "application/octet-stream"}
NO_RATE = {"messages_per_second": 1e9, "searches_per_second": 1e9}


class Daemon:
    """A stand-in for the routing core that answers from one record while `may_answer` is set."""

    error: Exception | None = None

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()

    def about(self) -> About:
        return About(node="0x00", deployment="00", version="1", members=1)

    def profile(self) -> bytes | None:
        return RECORD.document

    def message(self, content: bytes) -> bytes:
        self.may_answer.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        decode_request(content)
        return encode(Acknowledged(RECORD, True))

    def search(self, asked: SearchBody) -> SearchAnswer:
        self.may_answer.wait(PATIENCE)
        query = Signature.decode(bytes.fromhex(asked.query))
        if not asked.envelope:
            raise SearchRefused(401, "unsigned", "the search is not signed")
        assert query == QUERY
        return SearchAnswer(matches=(Match.of(RECORD),), messages=2, hops=1)


@contextmanager
def serving(daemon: Daemon | None = None, limits: EndpointLimits | None = None) -> Iterator[str]:
    limits = limits or EndpointLimits(**NO_RATE)
    server = EndpointServer(Endpoint(daemon or Daemon(), limits), "127.0.0.1:0", limits)
    server.start()
    try:
        yield f"http://{server.address}"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as found:
        yield found


def reason(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"reason", "message"}
    return answer.status_code, body["reason"]


def body(**changes: object) -> dict[str, object]:
    return {"query": QUERY.encode().hex(), "want": 5, "envelope": "00", **changes}


def test_the_endpoint_answers_as_its_document_says(url: str) -> None:
    assert CLIENT.get(url + "/openapi.json").json() == openapi()
    assert CLIENT.get(url + "/retrieval/about").json()["members"] == 1
    assert CLIENT.get(url + "/retrieval/profile").content == RECORD.document
    found = SearchAnswer.model_validate_json(
        CLIENT.post(url + "/retrieval/search", json=body()).content
    )
    assert [match.record() for match in found.matches] == [RECORD]
    for path, operations in openapi()["paths"].items():
        for method in operations:
            assert CLIENT.request(method, url + path).status_code != 404


def test_a_daemon_asks_another_over_http(url: str) -> None:
    contact = Contact(RECORD.node, 0, url)
    nobody = Contact(RECORD.node, 0, "http://127.0.0.1:1")
    with HttpTransport(OwnAddress("")) as transport:
        file = Contact(RECORD.node, 0, "file:///etc/passwd")
        found = transport.ask(
            [(contact, Announce(RECORD)), (nobody, Members(3)), (file, Members(3))]
        )
    assert found == [Acknowledged(RECORD, True), None, None]


def test_whoever_is_not_asked_in_time_is_not_asked_later() -> None:
    """A search that had ended went on asking hundreds of addresses."""
    contacts, asked = 400, 0
    with serving() as url, socket.create_server(("127.0.0.1", 0), backlog=contacts) as silent:
        silent.settimeout(0.2)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        one = Contact(RECORD.node, 0, url), Announce(RECORD)
        others = [(Contact(RECORD.node, 0, address), Announce(RECORD))] * contacts
        with HttpTransport(OwnAddress("")) as transport:
            assert (
                transport.ask([one, *others], 1.0)
                == [Acknowledged(RECORD, True)] + [None] * contacts
            )
            assert transport.ask([one], PATIENCE) == [Acknowledged(RECORD, True)]  # after the rest
        for _ in range(contacts):
            try:
                silent.accept()[0].close()
            except TimeoutError:
                break
            asked += 1
    assert asked < contacts


def test_a_daemon_at_a_public_address_contacts_no_private_one(url: str) -> None:
    with HttpTransport(OwnAddress("https://provider.example.org:8600")) as transport:
        assert transport.ask([(Contact(RECORD.node, 0, url), Members(3))]) == [None]
    assert is_private("http://10.1.2.3:80")
    assert is_private("http://[::1]:80")
    assert is_private("http://169.254.169.254/latest")
    assert not is_private("http://93.184.215.14")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What names lead to; what is not in it is known to nobody."""
    known = {"peer.example": "127.0.0.1", "127.0.0.1": "127.0.0.1"}
    real = socket.getaddrinfo

    def lookup(host: str, *more: Any, **named: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror("no such name")
        return real(known[host], *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return known


def reached(transport: HttpTransport, url: str) -> bool:
    return transport.ask([(Contact(RECORD.node, 0, url), Announce(RECORD))]) != [None]


@pytest.mark.parametrize(("own", "follows"), [("93.184.215.14", False), ("10.1.2.3", True)])
def test_private_machines_are_contacted_by_their_neighbours_alone(
    url: str, names: dict[str, str], own: str, follows: bool
) -> None:
    """Whoever publishes a profile chooses the name: a daemon at a public address asked machines
    behind its own firewall. One whose name leads to a private address refused those that were
    named by number."""
    names["provider.example"] = own
    with HttpTransport(OwnAddress("https://provider.example:8600")) as transport:
        assert reached(transport, url.replace("127.0.0.1", "peer.example")) is follows
        assert reached(transport, url) is follows


def test_a_private_daemon_that_starts_before_its_server_of_names_finds_its_neighbours(
    url: str, names: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """What the look-up said at the start was kept for the process's life."""
    peer = url.replace("127.0.0.1", "peer.example")
    with HttpTransport(OwnAddress("http://alice:9000")) as transport:
        assert not reached(transport, peer)
        assert "address http://alice:9000 is not known" in caplog.text
        names["alice"] = "10.1.2.3"
        transport._own._again = 0.0
        assert reached(transport, peer)
        del names["alice"]
        assert reached(transport, peer)
    with HttpTransport(OwnAddress("http://alice.internal:9000")) as transport:
        assert reached(transport, peer)  # its name says that it is private


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (("GET", "/nowhere", {}), (404, "not-answered")),
        (("GET", "/retrieval/search", {}), (405, "not-answered")),
        (("POST", "/retrieval/search", {"content": b"x"}), (415, "other-type")),
        (("POST", "/retrieval/search", {"json": 3}), (400, "malformed")),
        (("POST", "/retrieval/search", {"json": body(want=0)}), (400, "malformed")),
        (("POST", "/retrieval/search", {"json": body(query="zz")}), (400, "malformed")),
        (("POST", "/retrieval/search", {"json": body(query="0101")}), (400, "malformed")),
        (("POST", "/retrieval/search", {"json": body(envelope="")}), (401, "unsigned")),
        (("POST", "/retrieval/search", {"json": body(query="00" * 9000)}), (413, "too-large")),
        (("POST", "/retrieval/message", {"content": b"x" * (1 << 18), "headers": OCTETS}),
         (400, "malformed")),
        (("POST", "/retrieval/message", {"content": b"x" * (1 << 19), "headers": OCTETS}),
         (413, "too-large")),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(
    url: str, asked: tuple[str, str, dict[str, object]], wanted: tuple[int, str]
) -> None:
    method, path, arguments = asked
    assert reason(CLIENT.request(method, url + path, **arguments)) == wanted  # type: ignore[arg-type]


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_any_message_gets_an_answer_or_a_refusal(url: str, content: bytes) -> None:
    answer = CLIENT.post(url + "/retrieval/message", content=content, headers=OCTETS)
    assert answer.status_code == 200 or reason(answer) == (400, "malformed")


@settings(max_examples=150)
@given(
    st.one_of(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
            max_leaves=8,
        ),
        st.fixed_dictionaries(
            {
                "query": st.one_of(
                    st.just(QUERY.encode().hex()), st.binary(max_size=40).map(bytes.hex)
                ),
                "want": st.one_of(st.integers(-3, 99), st.text(max_size=3)),
                "envelope": st.binary(max_size=40).map(bytes.hex),
            }
        ),
    )
)
def test_any_json_gets_an_answer_or_a_refusal(url: str, value: object) -> None:
    headers = {"content-type": "application/json"}
    answer = CLIENT.post(url + "/retrieval/search", content=json.dumps(value), headers=headers)
    assert answer.status_code == 200 or reason(answer)[0] in (400, 401, 413)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_bytes_that_are_not_http_do_no_harm(url: str, content: bytes) -> None:
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
        raw.sendall(content)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(4096):
            pass
    assert CLIENT.get(url + "/retrieval/about").status_code == 200


def test_a_client_that_asks_too_often_is_refused() -> None:
    limits = EndpointLimits(messages_per_second=0.001, message_burst=3)
    with serving(limits=limits) as url:
        found = [CLIENT.get(url + "/retrieval/about").status_code for _ in range(5)]
    assert found == [200, 200, 200, 429, 429]


def test_tokens_refill_with_time_and_clients_are_evicted() -> None:
    now = [0.0]
    rate = RateLimit(2.0, 2, clock=lambda: now[0], max_clients=2)
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [rate.allows("a"), rate.allows("a")] == [True, False]
    assert rate.allows("b")
    assert rate.allows("c")
    assert rate.allows("a")


def ask(url: str) -> httpx.Response:
    content = encode(Members(1))
    return CLIENT.post(url + "/retrieval/message", content=content, headers=OCTETS)


def test_a_slow_answer_times_out() -> None:
    daemon = Daemon()
    daemon.may_answer.clear()
    limits = EndpointLimits(answer_seconds=0.2, message_workers=1, waiting=1, **NO_RATE)
    with serving(daemon, limits) as url:
        running, waiting = ask(url), ask(url)
        assert reason(running) == reason(waiting) == (504, "too-slow")
        daemon.may_answer.set()
        wait_until(lambda: ask(url).status_code == 200)


def test_no_more_messages_wait_than_the_limit_allows() -> None:
    daemon = Daemon()
    daemon.may_answer.clear()
    limits = EndpointLimits(answer_seconds=PATIENCE, message_workers=1, waiting=1, **NO_RATE)
    with serving(daemon, limits) as url:
        found: list[httpx.Response] = []
        threads = [threading.Thread(target=lambda: found.append(ask(url))) for _ in range(5)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(found) == 3)
        assert {reason(answer) for answer in found} == {(503, "busy")}
        daemon.may_answer.set()
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in found[3:]] == [200, 200]


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    limits = EndpointLimits(read_seconds=0.2, **NO_RATE)
    with serving(limits=limits) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
            raw.sendall(
                b"POST /retrieval/message HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n"
                b"content-type: application/octet-stream\r\n\r\nx"
            )
            answer = raw.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (NodeUnreachable("no chain"), (503, "unreachable")),
        (SettingsError("odd"), (500, "failed")),
        (ZeroDivisionError(), (500, "failed")),
    ],
)
def test_an_internal_error_is_answered_without_details(
    error: Exception, wanted: tuple[int, str]
) -> None:
    daemon = Daemon()
    daemon.error = error
    with serving(daemon) as url:
        answer = CLIENT.post(url + "/retrieval/message", content=encode(Members(1)), headers=OCTETS)
        assert reason(answer) == wanted
        assert "ZeroDivision" not in answer.text


def test_a_port_in_use_is_a_clear_error(url: str) -> None:
    with pytest.raises(SettingsError, match="in use"):
        EndpointServer(Endpoint(Daemon()), url.removeprefix("http://"))


def test_the_document_is_plain_json_and_names_every_refusal() -> None:
    document = json.loads(json.dumps(openapi()))
    for path in ("/retrieval/search", "/retrieval/message"):
        assert {"400", "401", "413", "429"} <= set(document["paths"][path]["post"]["responses"])
