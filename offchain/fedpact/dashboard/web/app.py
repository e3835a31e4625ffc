"""The application: everything put together, and what answers errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

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
"""After which a reader of an answer 503 may try again."""


def create_app(
    site: Site,
    follow: tuple[Follower, float] | None,
    own: OwnProvider | None = None,
    login: Login | None = None,
) -> FastAPI:
    """`follow`: what keeps the index up, and the seconds between its steps. None: nothing does.

    Raises SettingsError where the scripts have not been built.
    """
    for library in LIBRARIES:
        if not library.exists():
            raise SettingsError(f"{library} is missing: run `make setup` in the checkout")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        site.hub.attach(asyncio.get_running_loop())
        stop = threading.Event()
        works: dict[str, Callable[[], None]] = {}
        if follow is not None:
            works["follow"] = partial(follow[0].run, stop, follow[1], site.hub.tell)
        if site.staying_out is not None:
            works["declines"] = partial(site.staying_out.run, stop, site.hub.changed)
        threads = [
            threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()
        ]
        for thread in threads:
            thread.start()
        yield
        stop.set()
        site.hub.detach()
        for thread in threads:
            thread.join(STOP_SECONDS)

    app = FastAPI(
        title="fedpact dashboard",
        version=version("fedpact"),
        summary="Requests, rounds, votes and pay of one deployment, read from chain and store.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    app.add_middleware(SecurityHeaders)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(api.router(site))
    shown = pages.Pages(site, own, login)
    app.include_router(pages.router(shown))
    _answer_errors(app, shown)
    return app


def _answer_errors(app: FastAPI, shown: pages.Pages) -> None:
    def answer(request: Request, status: int, says: str) -> Response:
        if request.url.path.startswith("/api/"):
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
