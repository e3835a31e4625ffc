"""Servers that nobody vouches for: what they send, and how slowly, is bounded."""

import socket
import time
from http.server import BaseHTTPRequestHandler
from itertools import islice, product
from threading import Lock

import pytest

from fedpact.errors import RetrievalError
from fedpact.retrieval.http import may_ask
from fedpact.retrieval.strangers import KEPT, Strangers
from tests.support.dripping import dripping
from tests.support.node_proxy import serving


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
        assert time.monotonic() - began < 10


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
        ends = time.monotonic() + 10
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
