"""The pages, rendered on the server."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates

from fedpact.dashboard.views.market import PAGE, MarketQuery, Order, Which
from fedpact.dashboard.views.participant import earnings_chart
from fedpact.dashboard.views.rounds import RoundView
from fedpact.dashboard.web.api import Account, RequestId
from fedpact.dashboard.web.downloads import Format, table_response
from fedpact.dashboard.web.filters import install
from fedpact.dashboard.web.login import Login
from fedpact.dashboard.web.provider import OwnProvider
from fedpact.dashboard.web.site import Site, checked_account
from fedpact.errors import FedpactError

TEMPLATES = pathlib.Path(__file__).parent.parent / "templates"
MOST_ROWS = 300
"""Rows of a table on a page; the download has all."""


NEAR = 4
"""Rounds before and after the shown one that a page links to."""
MOST_BYTES = 1_000
"""Of a login form."""


class Pages:
    """Renders templates with what every page shows: head, navigation, links."""

    def __init__(self, site: Site, own: OwnProvider | None, login: Login | None) -> None:
        self.site, self.own, self.login = site, own, login
        self._templates = Jinja2Templates(TEMPLATES)
        install(self._templates.env, site.links)

    def page(self, request: Request, name: str, code: int = 200, **values: Any) -> HTMLResponse:
        try:
            block, time = self.site.head()
        except FedpactError:  # The page says so, or is about something else.
            block, time = 0, 0
        shared = {
            "version": getattr(request.state, "version", self.site.hub.version),
            "block": block,
            "time": time,
            "chain_id": self.site.client.chain_id,
            "behind": self.site.hub.last is not None and self.site.hub.last.behind,
            "confirmations": self.site.confirmations,
            "has_provider": self.own is not None,
            "large": self.site.client.deployment.is_large,
            "MOST_ROWS": MOST_ROWS,
        }
        found: HTMLResponse = self._templates.TemplateResponse(
            request, name, {**shared, **values}, status_code=code
        )
        return found


def router(pages: Pages) -> APIRouter:
    """All pages but the API's."""
    site = pages.site

    def dated(request: Request) -> None:
        """With the version of what the page will show, or an earlier one."""
        request.state.version = site.hub.version

    routes = APIRouter(
        include_in_schema=False,
        default_response_class=HTMLResponse,
        dependencies=[Depends(dated)],
    )

    @routes.get("/")
    def market(request: Request, query: Annotated[MarketQuery, Query()]) -> Response:
        view = site.market(query, PAGE)
        return pages.page(request, "market.html", view=view, Which=Which, Order=Order)

    @routes.get("/requests/{number}")
    def one_request(request: Request, number: RequestId, round: int = 0) -> Response:
        view = site.request(number)
        chosen = shown_round(view.rounds, round)
        near: list[int] = []
        if chosen is not None:
            last = view.rounds[-1].round
            near = [n for n in range(chosen.round - NEAR, chosen.round + NEAR + 1) if 0 < n <= last]
        votes = [one for one in view.rounds if one.votes is not None]
        voted = chosen if chosen in votes else (votes[-1] if votes else None)
        return pages.page(request, "request.html", view=view, chosen=chosen, near=near, voted=voted)

    @routes.get("/requests/{number}/audit")
    def audit(request: Request, number: RequestId) -> Response:
        return pages.page(request, "audit.html", view=site.audit(number))

    @routes.get("/requests/{number}/members/{account}")
    def member(request: Request, number: RequestId, account: Account) -> Response:
        view = site.member(number, checked_account(account))
        return pages.page(request, "member.html", view=view)

    @routes.get("/participants/{account}")
    def participant(request: Request, account: Account) -> Response:
        view = site.participant(checked_account(account))
        return pages.page(request, "participant.html", view=view, earnings=earnings_chart(view))

    @routes.get("/network")
    def network(request: Request) -> Response:
        return pages.page(request, "network.html", view=site.network())

    @routes.get("/transaction/{tx}")
    def transaction(request: Request, tx: str) -> Response:
        found, events = site.transaction(tx)
        code = 200 if events else 404
        return pages.page(request, "transaction.html", code, tx=tx, found=found, events=events)

    @routes.get("/content/{cid}")
    def content(request: Request, cid: str) -> Response:
        body = site.content(cid)
        if body is None:
            return pages.page(request, "content.html", 404, cid=cid)
        return PlainTextResponse(body)

    @routes.get("/api")
    def api(request: Request) -> Response:
        paths = request.app.openapi()["paths"]
        return pages.page(request, "api.html", paths=paths)

    if pages.own is not None and pages.login is not None:
        _own_routes(routes, pages, pages.own, pages.login)
    return routes


async def limited_body(request: Request, most: int) -> bytes:
    """A request's body. Raises HTTPException 413 once it is longer than `most` bytes."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, f"more than {most} bytes")
    return body


def shown_round(rounds: Sequence[RoundView], asked: int) -> RoundView | None:
    """The round with the number that is asked for, else the last one."""
    found = [one for one in rounds if one.round == asked]
    return found[-1] if found else rounds[-1] if rounds else None


def _own_routes(routes: APIRouter, pages: Pages, own: OwnProvider, login: Login) -> None:
    @routes.get("/provider")
    def provider(request: Request) -> Response:
        if not login.admits(request):
            return pages.page(request, "login.html", wrong=False)
        return pages.page(request, "provider.html", view=own.view())

    @routes.get("/provider/tables/{table}.{format}")
    def table(
        request: Request,
        table: Annotated[str, Path(pattern="^(duties|data_sets|by_request|log)$")],
        format: Format,
    ) -> Response:
        if not login.admits(request):
            return pages.page(request, "login.html", 401, wrong=False)
        return table_response(f"provider-{table}", getattr(own.view(), table), format)

    @routes.post("/provider/login")
    async def enter(request: Request) -> Response:
        body = await limited_body(request, MOST_BYTES)
        [token] = parse_qs(body.decode("ascii", "replace")).get("token", [""])[:1]
        if not login.accepts(token.strip()):
            return pages.page(request, "login.html", 401, wrong=True)
        response = RedirectResponse("/provider", status_code=303)
        login.enter(response, token.strip(), secure=request.url.scheme == "https")
        return response

    @routes.post("/provider/logout")
    def leave() -> Response:
        response = RedirectResponse("/", status_code=303)
        login.leave(response)
        return response
