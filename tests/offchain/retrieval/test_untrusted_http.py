"""Servers that nobody vouches for: what they send, and how slowly, is bounded."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import islice, product
from threading import Event, Lock
from typing import Any

import pytest

from fedpact.errors import RetrievalError
from fedpact.retrieval.deadlines import KEPT
from fedpact.retrieval.http import may_ask
from fedpact.retrieval.untrusted_http import Strangers
from tests.support.dripping import dripping
from tests.support.node_proxy import serving
from tests.support.waiting import PATIENCE


class Echo(BaseHTTPRequestHandler):
    """Answers with the path and content that it was asked with; `/moved` redirects."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        found = f"{self.path} {self.headers['content-type']} ".encode() + content
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


class Counted(Echo):
    """Counts connections that are open."""

    open = 0
    lock = Lock()

    def setup(self) -> None:
        with self.lock:
            Counted.open += 1
        super().setup()

    def finish(self) -> None:
        super().finish()
        with self.lock:
            Counted.open -= 1


@pytest.mark.parametrize("part", ["headers", "body"])
def test_an_answer_that_drips_ends_with_the_deadline(part: str) -> None:
    with dripping(part) as address, Strangers(step=5.0, whole=0.3) as strangers:
        began = time.monotonic()
        with pytest.raises(RetrievalError, match="no whole answer in time"):
            strangers.get(address, 100)
        assert time.monotonic() - began < PATIENCE


def test_answers_are_read_up_to_their_limit() -> None:
    with serving(Echo) as address, Strangers(step=5.0, whole=5.0) as strangers:
        assert strangers.post(address + "/a?b=c", b"1234", "text/plain", 23) == (
            b"/a?b=c text/plain 1234"
        )
        assert strangers.get(address + "/a", 100) == b"/a None "
        with pytest.raises(RetrievalError, match="exceeds 7 bytes"):
            strangers.get(address + "/a", 7)
        with pytest.raises(RetrievalError, match="status 302"):
            strangers.get(address + "/moved", 100)


def test_few_idle_connections_are_kept() -> None:
    """Each is looked at with every request: daemons in a pool of a hundred became slow by that."""
    first, other, last = ("127", "0177", "0x7f"), ("0", "00", "0x0"), ("1", "01", "0x1")
    hosts = (".".join(parts) for parts in product(first, other, other, last))
    with serving(Counted) as address, Strangers(step=5.0, whole=5.0) as strangers:
        for host in islice(hosts, 2 * KEPT):
            strangers.get(f"http://{host}:{address.rpartition(':')[2]}/", 100)
        ends = time.monotonic() + PATIENCE
        while Counted.open > KEPT and time.monotonic() < ends:
            time.sleep(0.01)
        assert 0 < Counted.open <= KEPT


@pytest.mark.parametrize(
    "url",
    [
        "not an address",
        "file:///etc/passwd",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://",
        "http://:80/",
        "http://names.ä/",
        "http://a b/",
        "http://" + "a" * 300,
        "http://127.0.0.1:1",
        "http://x.invalid\n/",
    ],
)
def test_what_is_no_address_is_an_error_like_any_other(url: str) -> None:
    with Strangers(step=1.0, whole=1.0) as strangers, pytest.raises(RetrievalError):
        strangers.get(url, 100)


def test_a_public_asker_reaches_no_private_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by number nor by a name that leads there, which a stranger's server of names may say
    only when asked the second time: the address that was looked at is the one connected to."""
    with serving(Echo) as address, Strangers(step=1.0, whole=1.0, private=False) as strangers:
        port = address.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "0x7f.1"):
            with pytest.raises(RetrievalError):
                strangers.get(f"http://{host}:{port}/", 100)
        looked: list[str] = []

        def lookup(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            looked.append(host)
            found = ["10.0.0.1", "192.0.2.1"] if looked[1:] else ["10.0.0.1", "169.254.169.254"]
            return [(2, 1, 6, "", (one, port)) for one in found]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        with pytest.raises(RetrievalError, match=r"x\.example has no public address"):
            strangers.get(f"http://x.example:{port}/", 100)
        assert looked == ["x.example"]


@contextmanager
def unanswering() -> Iterator[int]:
    """A port at which no address of this machine answers: its queue of connections is full."""
    with ExitStack() as opened:
        listening = opened.enter_context(socket.socket())
        listening.bind(("", 0))
        listening.listen(0)
        port = int(listening.getsockname()[1])
        while True:
            waiting = opened.enter_context(socket.socket())
            waiting.settimeout(0.3)
            try:
                waiting.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        yield port


def sipping(listening: socket.socket, over: Event) -> int:
    """Take a little at a time from the next to connect: some megabytes a second; bytes taken."""
    connection, taken = listening.accept()[0], 0
    with connection:
        while not over.wait(0.1):
            taken += len(connection.recv(1 << 19))
    return taken


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Event:
    """`x.example` has these addresses; none: the server of names does not answer until it may."""
    real, may = socket.getaddrinfo, Event()

    def lookup(host: str, port: int, *given: Any, **more: Any) -> list[Any]:
        if host != "x.example":
            return real(host, port, *given, **more)
        if not addresses:
            may.wait(PATIENCE)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return may


def test_a_name_with_many_dead_addresses_ends_with_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each address had the whole time: a stranger's name held up whoever asked for minutes."""
    named(monkeypatch, *(f"127.0.{high}.{low}" for high in range(5) for low in range(1, 201)))
    with unanswering() as port, Strangers(step=0.5, whole=0.5) as strangers:
        began = time.monotonic()
        with pytest.raises(RetrievalError, match="no whole answer in time"):
            strangers.get(f"http://x.example:{port}/", 100)
        assert time.monotonic() - began < PATIENCE  # half of what all of them take


@pytest.mark.parametrize("private", [True, False])
def test_a_name_that_nobody_answers_for_ends_with_the_deadline(
    monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    may = named(monkeypatch)
    with Strangers(step=0.3, whole=0.3, private=private) as strangers:
        began = time.monotonic()
        with pytest.raises(RetrievalError, match="no whole answer in time"):
            strangers.get("http://x.example/", 100)
        assert time.monotonic() - began < PATIENCE
        may.set()


def test_a_server_that_reads_slowly_ends_with_the_deadline() -> None:
    """Each part that it took had the whole time again, so that it got all of the content."""
    with ExitStack() as opened:
        listening = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 19)
        over = Event()
        sips = opened.enter_context(ThreadPoolExecutor(1)).submit(sipping, listening, over)
        opened.callback(over.set)
        strangers = opened.enter_context(Strangers(step=1.0, whole=1.0))
        address, content = f"http://127.0.0.1:{listening.getsockname()[1]}/", bytes(1 << 25)
        with pytest.raises(RetrievalError, match="no whole answer in time"):
            strangers.post(address, content, "text/plain", 100)
        over.set()
        assert sips.result(PATIENCE) < len(content) / 2


def test_a_dead_address_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one step may take all of the time."""
    with unanswering() as port, ExitStack() as opened:
        listening = opened.enter_context(socket.socket(socket.AF_INET6))
        listening.settimeout(10)
        listening.bind(("::1", port))
        listening.listen()
        named(monkeypatch, "127.0.0.1", "::1")
        strangers = opened.enter_context(Strangers(step=2.0, whole=2.0))
        asking = opened.enter_context(ThreadPoolExecutor(1)).submit(
            strangers.get, f"http://x.example:{port}/", 100
        )
        connection = opened.enter_context(listening.accept()[0])
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        assert asking.result() == b"ok"


def test_a_host_name_beyond_ascii_is_looked_up_in_its_idna_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[object] = []

    def lookup(host: object, *_: object, **__: object) -> list[object]:
        looked.append(host)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with Strangers(step=5.0, whole=5.0) as strangers:
        with pytest.raises(RetrievalError, match="no such name"):
            strangers.get("http://Bücher.example:81/a", 100)
        for url in ("http://x.example/ä", "http://bü..example/", f"http://{'ü' * 60}.example/"):
            with pytest.raises(RetrievalError, match="not an address"):
                strangers.get(url, 100)
    assert looked == ["xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("endpoint", "private", "public"),
    [
        ("https://p.example:8443/fedpact", True, True),
        ("http://10.0.0.1:80", True, False),
        ("http://localhost", True, False),
        ("http://10.0.0.1/reboot?x=", False, False),
        ("http://p.example/delete#", False, False),
        ("http://user@p.example", False, False),
        ("ftp://p.example", False, False),
    ],
)
def test_which_addresses_may_be_asked(endpoint: str, private: bool, public: bool) -> None:
    """A path is added to each: what ends in a query would make any address of it."""
    assert (may_ask(True, endpoint), may_ask(False, endpoint)) == (private, public)
