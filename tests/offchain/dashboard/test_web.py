"""The server without a network: what it answers when something is missing, slow or too large."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

from fedpact.chain.bindings.registry import Registry
from fedpact.chain.client import ChainClient
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.dashboard.index.follow import Change, Follower
from fedpact.dashboard.links import Links
from fedpact.dashboard.web.app import Served, create_app
from fedpact.dashboard.web.hub import Hub
from fedpact.dashboard.web.login import Login
from fedpact.dashboard.web.provider import OwnFiles, OwnProvider
from fedpact.dashboard.web.site import Site
from fedpact.errors import NodeUnreachable
from tests.support.chain_request import ChainRequest, People

TOKEN = "t" * 43


def unreachable(*_: object, **__: object) -> NoReturn:
    raise NodeUnreachable("no node answers")


def site_of(client: ChainClient, folder: Path, links: Links | None = None) -> Site:
    stores = (EmbeddedStore(folder / "content"), EmbeddedStore(folder / "content"))
    return Site(client, stores, folder / "index.sqlite", Hub(), links or Links(), 0, lambda _: None)


@pytest.fixture
def site(client: ChainClient, tmp_path: Path) -> Site:
    return site_of(client, tmp_path)


class Web:
    """Asks the application, without a server."""

    def __init__(
        self,
        site: Site,
        own: OwnProvider | None = None,
        login: Login | None = None,
        beside: Site | None = None,
    ) -> None:
        self._app = create_app(Served(site), own, login, None if beside is None else Served(beside))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, options))

    async def _ask(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            return await client.request(method, path, **options)


@pytest.fixture
def web(site: Site, people: People, tmp_path: Path) -> Web:
    own = OwnProvider(site, OwnFiles(people.members[0].address, tmp_path))
    return Web(site, own, Login(TOKEN))


@pytest.mark.parametrize("path", ["/", "/requests/1", "/network", "/participants/0x" + "1" * 40])
def test_an_index_that_cannot_be_read_is_named(web: Web, path: str) -> None:
    answer = web.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "This cannot be shown" in answer.text
    assert "index.sqlite: it cannot be opened" in answer.text
    assert "script-src" in answer.headers["content-security-policy"]
    assert "index.sqlite" in web.get("/api/requests").json()["problem"]


def test_a_node_that_is_gone_is_named(
    web: Web,
    people: People,
    new_index: Callable[[str], Follower],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new_index("index.sqlite").step(lambda _: None)
    monkeypatch.setattr(Registry, "participant", unreachable)
    answer = web.get(f"/participants/{people.members[0].address}")
    assert answer.status_code == 503
    assert "no node answers" in answer.text
    monkeypatch.setattr(ChainClient, "balance", unreachable)
    page = web.get("/provider", headers={"authorization": f"Bearer {TOKEN}"})
    assert page.status_code == 200
    [balance] = [one for one in page.text.split("<div>") if "<dt>Balance</dt>" in one]
    assert "no node answers" in balance
    assert "0 " not in balance


def test_no_reader_waits_for_a_node_that_hangs(
    web: Web,
    client: ChainClient,
    people: People,
    new_index: Callable[[str], Follower],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each call to such a node takes its whole time limit; who follows the chain notices first."""
    request = ChainRequest.created(client, people).running()
    new_index("index.sqlite").step(lambda _: None)
    [node] = client.rpc.nodes
    asked: list[str] = []
    monkeypatch.setattr(node, "_ask", lambda method, *_: asked.append(method))
    monkeypatch.setattr(node.health, "failures", 3)
    assert "No node answers now" in web.get(f"/requests/{request.id}").text
    assert web.get(f"/participants/{people.members[0].address}").status_code == 503
    assert "did not answer the last 3 calls" in web.get("/network").text
    assert asked == []


def test_an_audit_links_to_what_the_request_shows(
    web: Web, client: ChainClient, people: People, new_index: Callable[[str], Follower]
) -> None:
    """Also before anybody has voted."""
    own = f"/requests/{ChainRequest.created(client, people).running().id}"
    new_index("index.sqlite").step(lambda _: None)
    shown, audit = web.get(own).text, web.get(f"{own}/audit").text
    targets = set(re.findall(rf'href="{own}#([^"]*)"', audit))
    assert {"votes", "errors-table"} <= targets
    targets |= set(re.findall(r'href="#([^"]*)"', shown))
    assert targets - set(re.findall(r'id="([^"]*)"', shown)) == set()


def test_both_kinds_of_rounds_are_at_one_address(
    client: ChainClient, people: People, new_index: Callable[[str], Follower], tmp_path: Path
) -> None:
    """Every link of a page below the root of the other kind stays there, but the one to the
    first."""
    request = ChainRequest.created(client, people).running().id
    new_index("index.sqlite").step(lambda _: None)
    first = site_of(client, tmp_path, Links(others="/large/"))
    web = Web(first, beside=site_of(client, tmp_path, Links(root="/large", others="/")))
    assert '<a href="/large/">Large rounds</a>' in web.get("/").text
    own = f"/requests/{request}"
    member = f"{own}/members/{people.members[0].address}"
    account = f"/participants/{people.members[0].address}"
    for path in ("/", own, member, f"{own}/audit", account, "/network", "/api"):
        answer = web.get("/large" + path)
        assert answer.status_code == 200, answer.text
        assert "content-security-policy" in answer.headers
        led = re.findall(r'(?:href|src|action)="(/[^"]*)"', answer.text)
        assert [one for one in led if not one.startswith("/large/")] == ["/"], path
        assert 'data-root="/large"' in answer.text
    assert web.get(f"/large/api{own}").json()["summary"]["request"] == request
    assert web.get("/large/api/requests/999").json()["problem"]
    assert web.get("/large/static/style.css").status_code == 200
    assert web.get("/large/requests/999").status_code == 404


def test_a_page_says_that_it_is_behind(web: Web, site: Site) -> None:
    site.hub.tell(Change(7, 1_000, frozenset(), behind=True))
    assert "block 7, behind the chain" in web.get("/api").text
    site.hub.tell(Change(8, 1_001, frozenset()))
    assert "behind the chain" not in web.get("/api").text


def test_a_fault_is_a_page_with_the_same_policy(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> NoReturn:
        raise ZeroDivisionError("a fault of our own")

    monkeypatch.setattr(Site, "network", fault)
    answer = web.get("/network")
    assert answer.status_code == 500
    assert "ZeroDivisionError: the log of this site says more" in answer.text
    assert "script-src" in answer.headers["content-security-policy"]


def test_a_login_form_is_short(web: Web) -> None:
    answer = web.post("/provider/login", content=b"token=" + b"x" * 100_000)
    assert (answer.status_code, "more than 1000 bytes" in answer.text) == (413, True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_came_by_https_goes_by_https_alone(web: Web, scheme: str) -> None:
    answer = web.post(f"{scheme}://site/provider/login", data={"token": TOKEN})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert ("secure" in cookie) == (scheme == "https")
    assert "httponly" in cookie


def test_a_page_is_as_of_one_block(
    site: Site, client: ChainClient, people: People, new_index: Callable[[str], Follower]
) -> None:
    """The present round too, though the node knows more than the index."""
    request = ChainRequest.created(client, people).running()
    new_index("index.sqlite").step(lambda _: None)
    request.submit(*range(len(request.seats)))
    now = site.request(request.id).now
    assert now.phase == "submit"
    assert people.members[0].address in now.waits_for
