"""Why providers stay out of an open request, on its page: asked in a thread of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from fedpact.chain.client import ChainClient
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.dashboard.index.follow import Follower
from fedpact.dashboard.web import staying_out
from fedpact.dashboard.web.site import Site
from fedpact.dashboard.web.staying_out import MOST_REQUESTS, StayingOut
from fedpact.exchange.declines import declined
from fedpact.requester.declines import Declines
from fedpact.types.decline_reason import Reason
from tests.offchain.dashboard.test_web import Web, site_of
from tests.support.chain_request import ChainRequest, People
from tests.support.node_proxy import serving
from tests.support.waiting import PATIENCE, wait_until


class Daemon(BaseHTTPRequestHandler):
    """A provider's endpoint that answers every path with `said`."""

    said = b""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    Daemon.asked = []
    with serving(Daemon) as address:
        yield address


@pytest.fixture
def request_(
    client: ChainClient,
    people: People,
    endpoint: str,
    new_index: Callable[[str], Follower],
    tmp_path: Path,
) -> ChainRequest:
    """Open, after one whose member named its endpoint, and declined this one."""
    record = EmbeddedStore(tmp_path / "content").put(json.dumps({"endpoint": endpoint}).encode())
    ChainRequest.created(client, people).enrol(record.digest)
    request = ChainRequest.created(client, people)
    keys = people.members[0]
    Daemon.said = declined(keys, client.rounds.domain, request.id, Reason.PAY).encode()
    new_index("index.sqlite").step(lambda _: None)
    return request


def asking(client: ChainClient, folder: Path, *, private: bool) -> Site:
    site = site_of(client, folder)
    site.staying_out = StayingOut(client, EmbeddedStore(folder / "content"), private=private)
    return site


def test_a_page_says_why_providers_stay_out(
    client: ChainClient,
    request_: ChainRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(staying_out, "PAUSE", 0.02)
    site = asking(client, tmp_path, private=True)
    web, page = Web(site), f"/requests/{request_.id}"
    assert "No provider has said yet that it stays out" in web.get(page).text
    assert Daemon.asked == []  # No page waits for a stranger.
    told, stop = list[int](), threading.Event()
    assert site.staying_out is not None
    thread = threading.Thread(target=site.staying_out.run, args=(stop, told.append))
    thread.start()
    wait_until(lambda: told == [request_.id])
    site.hub.version += 1  # as Hub.changed does
    view = web.get(f"/api{page}").json()
    assert view["declines"] == [{"reason": "policy: pay", "providers": 1}]
    assert "policy: pay" in web.get(page).text
    csv = web.get(f"/api/tables/request/{request_.id}/declines.csv").text
    assert csv == "reason,providers\r\npolicy: pay,1\r\n"
    stop.set()
    thread.join()
    assert f"/{request_.id}/decline" in Daemon.asked[0]
    # Nobody looks at any other request, so none is asked about.
    assert {one.split("/")[-2] for one in Daemon.asked} == {str(request_.id)}


def test_opening_one_page_after_another_has_nothing_read_anew(
    client: ChainClient,
    people: People,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five open requests in turn had a reader closed and another begun at each look: hundreds of
    calls of the node each time, and every daemon asked again."""
    begun = list[int]()

    class Counted(Declines):
        def look(self) -> None:
            begun.extend([] if self._reader else [self.request])
            super().look()

    monkeypatch.setattr(staying_out, "Declines", Counted)
    requests = [ChainRequest.created(client, people).id for _ in range(MOST_REQUESTS + 1)]
    site = asking(client, tmp_path, private=True)
    assert site.staying_out is not None
    looks = iter([one for _ in range(3) for one in requests])

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            request = next(looks, None)
            if request is not None:
                site.staying_out.of(request)
            return request is None

    site.staying_out.run(Stop(), lambda _: None)
    assert sorted(begun) == requests[:MOST_REQUESTS]


def test_private_addresses_are_asked_only_if_that_is_wanted(
    client: ChainClient, request_: ChainRequest, tmp_path: Path
) -> None:
    """Else whoever joins a request could have this server call machines behind its firewall."""
    site = asking(client, tmp_path, private=False)
    site.request(request_.id)
    assert site.staying_out is not None
    asked = site.staying_out
    looks = iter(range(2))

    class Stop(threading.Event):
        """After a look at all addresses that could be read."""

        def wait(self, timeout: float | None = None) -> bool:
            for one in asked._open.values():
                assert one._read_all.wait(PATIENCE)
            return next(looks, None) is None

    asked.run(Stop(), lambda _: None)
    assert Daemon.asked == []
    assert asked.of(request_.id) == {}


def test_nobody_is_asked_by_default(
    client: ChainClient, request_: ChainRequest, tmp_path: Path
) -> None:
    site = site_of(client, tmp_path)
    assert site.request(request_.id).declines is None
    assert "does not ask providers" in Web(site).get(f"/requests/{request_.id}").text
