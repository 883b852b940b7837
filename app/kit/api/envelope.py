"""What surrounds each request: its id, its line in the log, headers, CORS, limits, and a 500.

`Envelope` takes a request from the server, gives it an id, and its path the prefix that a proxy has
removed. `DirectRoutes` finds its route, which answers directly, or passes it on to FastAPI. The
route receives the body within a limit, and what it sends gets the headers on its way out. Expected
errors become problems in the handlers of the application; an unexpected one comes back to the
envelope, which answers 500 in the same way. It answers preflights and what the server could not
read itself. In the end it writes the line.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any, TypeVar

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars
from uuid_utils import uuid4

from app.kit.api.origins import pattern
from app.kit.api.problems import problem
from app.kit.api.protocol import REFUSAL

LARGEST_BODY = 64 * 1024
"""Bytes, unless a route takes more: see `largest_body`."""

_ID = "X-Request-ID"
_WELL_FORMED = re.compile(rb"[\x21-\x7e]{1,128}")
_EXPOSED = ("Location", "ETag", _ID, "Retry-After")
"""What a page of another origin may read, besides what it always may (Fetch, 2.2.2)."""

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])

logger = structlog.get_logger()


def largest_body(size: int) -> Callable[[EndpointT], EndpointT]:
    """Let the function of a route take a body of up to so many bytes."""

    def allow(endpoint: EndpointT) -> EndpointT:
        endpoint.largest_body = size  # type: ignore[attr-defined]
        return endpoint

    return allow


class Envelope:
    """Middleware that has each request answered in its envelope, and logs how.

    The line has neither the path nor the query nor the body: they have what users wrote. Other
    lines of the request have its id too, and what is bound to the context is in this one.

    Args:
        app: what answers.
        cors_origins: the origins whose pages may call the API.
        root_path: what a proxy removes from the beginning of each path. It is added again, as ASGI
            asks: FastAPI's own parameter is deprecated, and would leave the path without it.
    """

    def __init__(self, app: ASGIApp, *, cors_origins: Sequence[str], root_path: str) -> None:
        self._app = app
        self._root_path = root_path
        self._cors = _CrossOriginRequests(
            app,
            allow_origins={"*"}.intersection(cors_origins),
            allow_origin_regex=pattern(cors_origins) or None,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        if self._root_path:
            scope["root_path"] = self._root_path
            scope["path"] = self._root_path + scope["path"]
        # The server leaves out the body of what it was asked for with HEAD.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        exchange = _Exchange(asked, receive, send)
        clear_contextvars()
        bind_contextvars(request_id=exchange.request_id)
        try:
            await self._answer(exchange)
        finally:
            status = exchange.status
            failed = status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            (logger.warning if failed else logger.info)(
                "request",
                method=scope["method"],
                route=_route(asked),
                status=status,
                milliseconds=round((perf_counter() - started) * 1000, 1),
            )

    async def _answer(self, exchange: "_Exchange") -> None:
        app, scope, send = self._app, exchange.scope, exchange.send
        if refusal := exchange.extensions.get(REFUSAL):
            app = problem(**refusal)
        if exchange.has_origin:
            headers = Headers(scope=scope)
            if scope["method"] == "OPTIONS" and "Access-Control-Request-Method" in headers:
                app = self._cors.preflight_response(headers)
            else:
                send = partial(self._cors.send, send=send, request_headers=headers)
        try:
            await app(scope, exchange.receive, send)
        except Exception:
            if exchange.status is not None:
                raise
            logger.exception("unexpected error")
            await problem(500, "The server failed to answer.")(scope, exchange.receive, send)


class _Exchange:
    """A request and its response.

    Attributes:
        scope: the request.
        extensions: what the server can do, and what it could not read.
        request_id: the caller's if it is well-formed, else a new one.
        has_origin: whether a page asks.
        status: that of the response, once it has started.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.extensions = scope.get("extensions") or {}
        self.status: int | None = None
        headers = dict(reversed(scope["headers"]))  # of a name that is there twice, the first
        given = headers.get(b"x-request-id", b"")
        self.request_id = given.decode() if _WELL_FORMED.fullmatch(given) else str(uuid4())
        self.has_origin = b"origin" in headers
        self._is_encoded = headers.get(b"content-encoding", b"identity").lower() != b"identity"
        self._size = 0
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Return the next part of the body, or refuse it. Starlette's limit answers in text."""
        if self._is_encoded:
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "The body must be sent without Content-Encoding.",
                {"Accept-Encoding": "identity"},
            )
        message = await self._receive()
        if refusal := self.extensions.get(REFUSAL):
            raise HTTPException(refusal["status"], refusal["detail"])
        self._size += len(message.get("body", b""))
        largest = getattr(self.scope.get("endpoint"), "largest_body", LARGEST_BODY)
        if self._size > largest:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body has more than {largest} bytes."
            )
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response, with the headers that each response has."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            ours = {
                b"cache-control": b"no-store",
                b"x-content-type-options": b"nosniff",
                b"x-request-id": self.request_id.encode(),
            }
            headers = [header for header in message.get("headers", ()) if header[0] not in ours]
            if not self.has_origin:
                headers.append((b"vary", b"Origin"))
            message["headers"] = [*headers, *ours.items()]
        await self._send(message)


class _CrossOriginRequests(CORSMiddleware):
    """Starlette's middleware, which refuses a preflight with a problem document."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Tell what the page may do, or answer 400."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        kept = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
        return problem(400, f"{bytes(response.body).decode()}.", headers=kept)


def _route(scope: Scope) -> str | None:
    """The template of the path, or None if there is no such route.

    FastAPI keeps that of an included router apart from ``scope["route"]``, which has no prefix.
    """
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(route, "path", None)
