"""The endpoint as an ASGI application. Input is bounded, and every failure becomes a response."""

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fedpact.errors import FedpactError, RetrievalError, Retryable, SearchRefused
from fedpact.exchange.sending import LONGEST
from fedpact.exchange.submissions import LONGEST_MODELS
from fedpact.exchange.version import OtherVersion
from fedpact.provider.endpoint.limits import EndpointLimits, RateLimit
from fedpact.retrieval.search_api import About, Refusal, SearchAnswer, SearchBody, openapi
from fedpact.types.validation import first_error

log = logging.getLogger(__name__)

T = TypeVar("T")
OCTETS = "application/octet-stream"
JSON = "application/json"


class EndpointBackend(Protocol):
    """Computes the endpoint's answers. May be called by several threads at once.

    `message` and `search` raise RetrievalError for a malformed request (SearchRefused carries its
    own HTTP status), Retryable if the chain does not answer.
    """

    def about(self) -> About: ...

    def profile(self) -> bytes | None:
        """The provider's own published document; None if there is none."""

    def message(self, content: bytes) -> bytes:
        """The reply to one message of another daemon."""

    def search(self, asked: SearchBody) -> SearchAnswer: ...


class ExchangeBackend(Protocol):
    """Takes and gives the messages of rounds. May be called by several threads at once."""

    def answer(self, fingerprint: str, request: int, round_: int, content: bytes) -> bytes:
        """Raises RetrievalError for a round that is not exchanged here, or a malformed request."""

    def answer_models(self, fingerprint: str, request: int, round_: int, content: bytes) -> bytes:
        """The same for the models of a large round."""

    def declined(self, fingerprint: str, request: int) -> bytes | None:
        """Why this daemon stays out of a request, signed; None: it says nothing."""


class Refused(Exception):
    """Ends a request with this HTTP status, reason and message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason, self.message = status, reason, message
        super().__init__(message)


@dataclass
class _Workers:
    """A thread pool that accepts at most `capacity` requests, running and waiting together."""

    pool: ThreadPoolExecutor
    capacity: int
    busy: int = 0

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """The result of `work` in a thread; a result after `seconds` is thrown away."""
        if self.busy >= self.capacity:
            raise Refused(503, "busy", "too many requests at once: try again later")
        self.busy += 1
        future = self.pool.submit(work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            raise Refused(504, "too-slow", f"no answer within {seconds:g} s") from None

    def _done(self) -> None:
        self.busy -= 1


class Endpoint:
    """Routes, limits and workers in front of an `EndpointBackend`, an `ExchangeBackend` or both."""

    def __init__(
        self,
        backend: EndpointBackend | None,
        limits: EndpointLimits | None = None,
        exchange: ExchangeBackend | None = None,
    ) -> None:
        self._limits = limits = limits or EndpointLimits()
        self._messages = _workers("messages", limits.message_workers, limits.waiting)
        self._searches = _workers("searches", limits.search_workers, limits.waiting)
        self._message_rate = RateLimit(limits.messages_per_second, limits.message_burst)
        self._search_rate = RateLimit(limits.searches_per_second, limits.search_burst)
        routes = []
        if backend is not None:
            self._backend = backend
            self._document = openapi()
            routes += [
                Route("/openapi.json", self._openapi),
                Route("/retrieval/about", self._about),
                Route("/retrieval/profile", self._profile),
                Route("/retrieval/message", self._message, methods=["POST"]),
                Route("/retrieval/search", self._search, methods=["POST"]),
            ]
        if exchange is not None:
            self._exchange = exchange
            path = "/exchange/{deployment}/{request:int}/{round:int}"
            routes.append(Route(path, self._exchanged, methods=["POST"]))
            routes.append(Route(path + "/models", self._exchanged, methods=["POST"]))
            routes.append(Route("/exchange/{deployment}/{request:int}/decline", self._declined))
        self.app = Starlette(
            routes=routes,
            exception_handlers={
                Refused: _refused,
                HTTPException: _http_error,
                ClientDisconnect: _disconnected,
                Exception: _failed,
            },
        )

    def close(self) -> None:
        """Stop the workers without waiting for answers in progress."""
        for workers in (self._messages, self._searches):
            workers.pool.shutdown(wait=False, cancel_futures=True)

    async def _openapi(self, request: Request) -> Response:
        self._admit(request, self._message_rate)
        return JSONResponse(self._document)

    async def _about(self, request: Request) -> Response:
        self._admit(request, self._message_rate)
        return _json(await self._answer(self._messages, self._backend.about))

    async def _profile(self, request: Request) -> Response:
        self._admit(request, self._message_rate)
        document = await self._answer(self._messages, self._backend.profile)
        if document is None:
            raise Refused(404, "no-profile", "this provider has published no profile")
        return Response(document, media_type=OCTETS)

    async def _message(self, request: Request) -> Response:
        self._admit(request, self._message_rate)
        content = await self._body(request, OCTETS, self._limits.message_bytes)
        reply = await self._answer(self._messages, lambda: self._backend.message(content))
        return Response(reply, media_type=OCTETS)

    async def _exchanged(self, request: Request) -> Response:
        self._admit(request, self._message_rate)
        models = request.url.path.endswith("/models")
        content = await self._body(request, JSON, LONGEST_MODELS if models else LONGEST)
        at = request.path_params
        deployment, number, round_ = str(at["deployment"]), int(at["request"]), int(at["round"])
        respond = self._exchange.answer_models if models else self._exchange.answer
        answer = await self._answer(
            self._messages, lambda: respond(deployment, number, round_, content)
        )
        return Response(answer, media_type=JSON)

    async def _declined(self, request: Request) -> Response:
        self._admit(request, self._message_rate)
        deployment, number = (request.path_params[one] for one in ("deployment", "request"))
        said = self._exchange.declined(str(deployment), int(number))
        if said is None:
            raise Refused(404, "not-declined", "this provider says nothing of the request")
        return Response(said, media_type=JSON)

    async def _search(self, request: Request) -> Response:
        self._admit(request, self._search_rate)
        content = await self._body(request, JSON, self._limits.search_bytes)
        try:
            asked = SearchBody.model_validate_json(content)
        except ValidationError as error:
            raise Refused(400, "malformed", first_error(error, "body")) from None
        return _json(await self._answer(self._searches, lambda: self._backend.search(asked)))

    def _admit(self, request: Request, rate: RateLimit) -> None:
        client = request.client.host if request.client is not None else ""
        if not rate.allows(client):
            raise Refused(429, "too-often", "too many requests from this address: slow down")

    async def _body(self, request: Request, media_type: str, limit: int) -> bytes:
        """The whole body; refused as soon as it exceeds `limit` bytes."""
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != media_type:
            raise Refused(
                415, "other-type", f"content type {given or 'missing'}: send {media_type}"
            )

        async def read() -> bytes:
            content = bytearray()
            async for part in request.stream():
                content += part
                if len(content) > limit:
                    raise Refused(413, "too-large", f"the body is over {limit} bytes")
            return bytes(content)

        try:
            return await asyncio.wait_for(read(), self._limits.read_seconds)
        except TimeoutError:
            raise Refused(408, "too-slow", "the body did not arrive in time") from None

    async def _answer(self, workers: _Workers, work: Callable[[], T]) -> T:
        try:
            return await workers.run(work, self._limits.answer_seconds)
        except SearchRefused as error:
            raise Refused(error.status, error.reason, str(error)) from error
        except OtherVersion as error:
            raise Refused(409, "other-version", str(error)) from error
        except RetrievalError as error:
            raise Refused(400, "malformed", str(error)) from error
        except Retryable as error:
            raise Refused(503, "unreachable", str(error)) from error
        except FedpactError as error:
            log.error("endpoint: %s", error)
            raise Refused(500, "failed", "the daemon failed to answer") from error


def _workers(name: str, workers: int, waiting: int) -> _Workers:
    return _Workers(ThreadPoolExecutor(workers, thread_name_prefix=name), workers + waiting)


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type=JSON)


def _refusal(status: int, reason: str, message: str) -> Response:
    return Response(
        json.dumps(Refusal(reason=reason, message=message).model_dump()),
        status_code=status,
        media_type=JSON,
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _refusal(error.status, error.reason, error.message)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _refusal(error.status_code, "not-answered", str(error.detail))


async def _disconnected(request: Request, error: Exception) -> Response:
    return _refusal(400, "gone", "the client disconnected")


async def _failed(request: Request, error: Exception) -> Response:
    return _refusal(500, "failed", "the daemon failed to answer")
