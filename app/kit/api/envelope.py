"""What surrounds each request: its id, its line in the log, headers, CORS, limits, and a 500.

A request goes through `Prefix`, `RequestLog`, `CrossOriginRequests` and `Safeguards`, in this
order, and its response comes back through them, so that every response has the id and the headers:
those to a preflight and a 500 as well.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from app.kit.api.origins import pattern
from app.kit.api.problems import problem
from app.kit.api.protocol import REFUSAL

LARGEST_BODY = 64 * 1024
"""Bytes."""

_ID = "X-Request-ID"
_WELL_FORMED = re.compile(r"[\x21-\x7e]{1,128}")
_EXPOSED = ("Location", "ETag", _ID, "Retry-After")
"""What a page of another origin may read, besides what it always may (Fetch, 2.2.2)."""

logger = structlog.get_logger()


def envelope(cors_origins: Sequence[str], root_path: str) -> list[Middleware]:
    """Return the middleware, the outermost first.

    Args:
        cors_origins: the origins whose pages may call the API.
        root_path: what a proxy removes from the beginning of each path.
    """
    return [
        Middleware(Prefix, root_path=root_path),
        Middleware(RequestLog),
        Middleware(
            CrossOriginRequests,
            allow_origins={"*"}.intersection(cors_origins),
            allow_origin_regex=pattern(cors_origins) or None,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
        ),
        Middleware(Safeguards),
    ]


class Prefix:
    """Adds the prefix that a proxy has removed to the path, as ASGI's ``root_path`` asks.

    FastAPI's own parameter is deprecated, and would leave the path without it.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root_path and scope["type"] == "http":
            scope["root_path"] = self._root_path
            scope["path"] = self._root_path + scope["path"]
        await self._app(scope, receive, send)


class RequestLog:
    """Gives each request an id, the caller's if it is well-formed, and logs how it was answered.

    The line has neither the path nor the query nor the body: they have what users wrote. Other
    lines of the request have its id too, and what is bound to the context is in this one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope)
        status: int | None = None
        # The server leaves out the body of what it was asked for with HEAD.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        clear_contextvars()
        bind_contextvars(request_id=request_id)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
                headers[_ID] = request_id
            await send(message)

        try:
            await self._app(asked, receive, send_with_headers)
        finally:
            failed = status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            (logger.warning if failed else logger.info)(
                "request",
                method=scope["method"],
                route=_route(asked),
                status=status,
                milliseconds=round((perf_counter() - started) * 1000, 1),
            )


class CrossOriginRequests(CORSMiddleware):
    """Starlette's middleware, which refuses a preflight with a problem document."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Tell what the page may do, or answer 400."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        kept = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
        return problem(400, f"{bytes(response.body).decode()}.", headers=kept)


class Safeguards:
    """Refuses a body that is too large with 413, and answers 500 to an unexpected error.

    Starlette's own limit answers in plain text, and its handler of Exception outside of all
    middleware, without the headers that errors need as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size, started = 0, False
        extensions = scope.get("extensions") or {}
        app = problem(**extensions[REFUSAL]) if REFUSAL in extensions else self._app

        async def limited_receive() -> Message:
            nonlocal size
            if Headers(scope=scope).get("Content-Encoding", "identity").lower() != "identity":
                raise HTTPException(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    "The body must be sent without Content-Encoding.",
                    {"Accept-Encoding": "identity"},
                )
            message = await receive()
            if refusal := extensions.get(REFUSAL):
                raise HTTPException(refusal["status"], refusal["detail"])
            size += len(message.get("body", b""))
            if size > LARGEST_BODY:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"The body has more than {LARGEST_BODY} bytes.",
                )
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, limited_receive, watched_send)
        except Exception:
            if started:
                raise
            logger.exception("unexpected error")
            response = problem(500, "The server failed to answer.")
            await response(scope, receive, send)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(_ID, "")
    return given if _WELL_FORMED.fullmatch(given) else str(uuid4())


def _route(scope: Scope) -> str | None:
    """The template of the path, or None if there is no such route.

    FastAPI keeps that of an included router apart from ``scope["route"]``, which has no prefix.
    """
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(route, "path", None)
