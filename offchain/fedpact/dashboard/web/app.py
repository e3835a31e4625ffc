"""The application: everything put together, and what answers errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from fedpact.dashboard.index.follow import Follower
from fedpact.dashboard.web import api, pages
from fedpact.dashboard.web.login import Login
from fedpact.dashboard.web.provider import OwnProvider
from fedpact.dashboard.web.security import HEADERS, SecurityHeaders
from fedpact.dashboard.web.site import Site
from fedpact.errors import (
    FedpactError,
    InvalidInput,
    NotReady,
    Retryable,
    SettingsError,
    StateDamaged,
    UnknownRequest,
)

STATIC = Path(__file__).parent.parent / "static"
LIBRARIES = [STATIC / "vendor" / name for name in ("chart.umd.min.js", "idiomorph.min.js")]
STOP_SECONDS = 10.0
RETRY_SECONDS = 5
"""Seconds after which a reader of an answer 503 may try again."""


@dataclass(frozen=True)
class Served:
    """A deployment that is shown."""

    site: Site
    follow: tuple[Follower, float] | None = None
    """What keeps the index up, and the seconds between its steps. None: nothing does."""


def create_app(
    served: Served,
    own: OwnProvider | None = None,
    login: Login | None = None,
    beside: Served | None = None,
) -> FastAPI:
    """`beside`: the deployment of the other kind of rounds, shown below its site's root.

    Raises SettingsError where the scripts have not been built.
    """
    for library in LIBRARIES:
        if not library.exists():
            raise SettingsError(f"{library} is missing: run `make setup` in the checkout")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        both = [one for one in (served, beside) if one is not None]
        threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for one in both
            for name, work in _works(one, stop).items()
        ]
        for one in both:
            one.site.hub.attach(asyncio.get_running_loop())
        for thread in threads:
            thread.start()
        yield
        stop.set()
        for one in both:
            one.site.hub.detach()
        for thread in threads:
            thread.join(STOP_SECONDS)

    app = _application(served.site, own, login, lifespan=lifespan)
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    app.add_middleware(SecurityHeaders)
    if beside is not None:
        app.mount(beside.site.links.root, _application(beside.site, None, None))
    return app


def _works(served: Served, stop: threading.Event) -> dict[str, Callable[[], None]]:
    """What goes on in threads of their own, by their names."""
    site, works = served.site, dict[str, Callable[[], None]]()
    if served.follow is not None:
        follower, pause = served.follow
        works["follow"] = partial(follower.run, stop, pause, site.hub.tell)
    if site.staying_out is not None:
        works["declines"] = partial(site.staying_out.run, stop, site.hub.changed)
    return works


def _application(
    site: Site, own: OwnProvider | None, login: Login | None, **options: Any
) -> FastAPI:
    """Pages and API of one deployment."""
    app = FastAPI(
        title="fedpact dashboard",
        version=version("fedpact"),
        summary="Requests, rounds, votes and pay of one deployment, read from chain and store.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        **options,
    )
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(api.router(site))
    shown = pages.Pages(site, own, login)
    app.include_router(pages.router(shown))
    _answer_errors(app, shown)
    return app


def _answer_errors(app: FastAPI, shown: pages.Pages) -> None:
    def answer(request: Request, status: int, says: str) -> Response:
        if request.url.path.startswith(f"{shown.site.links.root}/api/"):
            return JSONResponse({"problem": says}, status)
        return shown.page(request, "error.html", status, status=status, says=says)

    @app.exception_handler(FedpactError)
    def known(request: Request, error: FedpactError) -> Response:
        status = 500
        if isinstance(error, UnknownRequest):
            status = 404
        elif isinstance(error, InvalidInput):
            status = 400
        elif isinstance(error, Retryable | NotReady | StateDamaged):
            status = 503
        response = answer(request, status, str(error))
        if status == 503:
            response.headers["retry-after"] = str(RETRY_SECONDS)
        return response

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        """The server logs the error; it is answered outside of what adds the headers."""
        response = answer(request, 500, f"{type(error).__name__}: the log of this site says more")
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return answer(request, 422, f"{first['loc'][-1]}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        return answer(request, error.status_code, str(error.detail))
