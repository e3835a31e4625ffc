"""IpfsStore against nodes that lie, fail or stay silent, played by a server on loopback."""

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from fedpact.content.credentials import Credential
from fedpact.content.ipfs_store import IpfsStore
from fedpact.errors import (
    ContentMismatch,
    ContentMissing,
    ContentTooLarge,
    StoreUnreachable,
)
from fedpact.types.cid import Cid
from tests.support.waiting import PATIENCE

CID = Cid.of(b"content")
Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Node:
    """A server that answers every request by `behave`; `calls` counts them."""

    def __init__(self) -> None:
        self.behave: Behaviour = lambda request: None
        self.calls = 0
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                node.calls += 1
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                node.behave(self)

            def log_message(self, format: str, *args: object) -> None:
                """Tests are quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def say(body: bytes, status: int = 200) -> Behaviour:
    def behave(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return behave


def error(message: str, status: int = 500) -> Behaviour:
    return say(json.dumps({"Message": message, "Code": 0, "Type": "error"}).encode(), status)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


@pytest.fixture
def store(node: Node) -> Iterator[IpfsStore]:
    store = IpfsStore(node.url, timeout=PATIENCE)
    yield store
    store.close()


@pytest.fixture
def impatient(node: Node) -> Iterator[IpfsStore]:
    store = IpfsStore(node.url, timeout=0.5)
    yield store
    store.close()


def test_bytes_that_do_not_match_the_cid_are_refused(node: Node, store: IpfsStore) -> None:
    node.behave = say(b"Content")
    with pytest.raises(ContentMismatch, match=str(CID)):
        store.get(CID, 100)


def test_an_endless_answer_is_cut_off_at_the_limit(node: Node, store: IpfsStore) -> None:
    sent = 0

    def pour(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(bytes(65_536))
                sent += 65_536
        except OSError:
            cut.set()

    cut = threading.Event()
    node.behave = pour
    with pytest.raises(ContentTooLarge, match="100000 bytes"):
        store.get(CID, 100_000)
    assert cut.wait(PATIENCE)
    # What the sockets of both sides hold, at most.
    assert sent < 20_000_000


def test_a_truncated_answer_is_retried(node: Node, store: IpfsStore) -> None:
    def break_off_once(request: BaseHTTPRequestHandler) -> None:
        if node.calls > 1:
            say(b"content")(request)
            return
        request.send_response(200)
        request.send_header("Content-Length", "7")
        request.end_headers()
        request.wfile.write(b"con")

    node.behave = break_off_once
    assert store.get(CID, 100) == b"content"
    assert node.calls == 2


def test_a_node_that_keeps_breaking_off_is_unreachable(node: Node, store: IpfsStore) -> None:
    with pytest.raises(StoreUnreachable, match=node.url):
        store.get(CID, 100)
    assert node.calls == 3


def test_a_node_that_finds_nothing_in_time_lacks_the_content(
    node: Node, impatient: IpfsStore
) -> None:
    silence = threading.Event()
    node.behave = lambda request: silence.wait(PATIENCE) and None
    with pytest.raises(ContentMissing, match=r"nothing in 0\.5 s"):
        impatient.get(CID, 100)
    silence.set()
    assert node.calls <= 1


def test_a_node_that_does_not_answer_is_unreachable(node: Node, impatient: IpfsStore) -> None:
    silence = threading.Event()
    node.behave = lambda request: silence.wait(PATIENCE) and None
    with pytest.raises(StoreUnreachable, match="version"):
        impatient.check()
    silence.set()


def test_silence_about_what_a_node_holds_is_no_answer(node: Node, impatient: IpfsStore) -> None:
    """It was taken for "not here", and the content was put again, to a node that hung."""
    silence = threading.Event()
    node.behave = lambda request: silence.wait(PATIENCE) and None
    for ask in (impatient.has, impatient.unpin):
        with pytest.raises(StoreUnreachable):
            ask(CID)
    silence.set()


def test_a_node_that_lacks_the_content_says_so(node: Node, store: IpfsStore) -> None:
    node.behave = error("block was not found locally (offline)")
    assert not store.has(CID)
    with pytest.raises(ContentMissing, match="not found locally"):
        store.get(CID, 100)
    with pytest.raises(ContentMissing):
        store.pin(CID)
    assert node.calls == 3


def test_a_node_that_builds_other_trees_is_found_out(node: Node, store: IpfsStore) -> None:
    node.behave = say(b'{"Name":"content","Hash":"QmOther","Size":"7"}\n')
    with pytest.raises(ContentMismatch, match="QmOther"):
        store.put(b"content")


def test_a_node_with_a_lower_limit_reports_too_large_content(node: Node, store: IpfsStore) -> None:
    node.behave = error("request larger than 3 bytes", 413)
    with pytest.raises(ContentTooLarge, match="larger than 3 bytes"):
        store.put(b"content")


@pytest.mark.parametrize(
    "behave", [say(b"<html>"), say(b""), error("no", 403), error("no", 500), say(b"no", 404)]
)
def test_a_server_that_is_not_a_kubo_rpc_is_unreachable(
    node: Node, store: IpfsStore, behave: Behaviour
) -> None:
    node.behave = behave
    with pytest.raises(StoreUnreachable):
        store.put(b"content")


def test_a_node_that_is_down_is_unreachable() -> None:
    node = Node()
    node.close()
    with pytest.raises(StoreUnreachable, match="refused"):
        IpfsStore(node.url, timeout=1).check()


def test_proxies_of_the_environment_are_not_used(
    node: Node, store: IpfsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    node.behave = say(b"content")
    assert IpfsStore(node.url, timeout=PATIENCE).get(CID, 100) == b"content"


SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "credential", "sent"),
    [
        ("http://{}", Credential(token=SecretStr(SECRET)), f"Bearer {SECRET}"),
        (
            "http://{}",
            Credential(user="u", password=SecretStr(SECRET)),
            "Basic " + b64encode(f"u:{SECRET}".encode()).decode(),
        ),
        ("http://u:" + SECRET + "@{}", None, "Basic " + b64encode(f"u:{SECRET}".encode()).decode()),
    ],
)
def test_credentials_reach_the_node_and_no_message(
    node: Node, url: str, credential: Credential | None, sent: str
) -> None:
    seen: list[str | None] = []

    def refuse(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers["Authorization"])
        error("no", 403)(request)

    node.behave = refuse
    store = IpfsStore(url.format(node.url.removeprefix("http://")), credential=credential)
    with pytest.raises(StoreUnreachable, match="no") as refused:
        store.check()
    store.close()
    assert seen == [sent]
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(credential)


def test_an_unreachable_node_is_named_without_its_password() -> None:
    store = IpfsStore(f"http://u:{SECRET}@127.0.0.1:1", attempts=1)
    with pytest.raises(StoreUnreachable, match=r"127\.0\.0\.1:1") as refused:
        store.check()
    assert SECRET not in str(refused.value)


def test_stores_of_one_process_read_the_certificates_once(
    store: IpfsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon fetches each item with a store of its own: 25 ms went by before it was asked for."""
    read: list[object] = []
    made = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **of: read.append(of) or made(**of))
    for _ in range(3):
        store.another().close()
    assert not read
