"""One line in the log for each request, and the id that finds it."""

import re
from http import HTTPStatus
from time import perf_counter
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

logger = structlog.get_logger()


class RequestLog:
    """Gives each request an id, the caller's if it is well-formed, and logs how it was answered.

    The line has neither the path nor the query nor the body, in which there is what users wrote.
    Whatever is logged meanwhile has the id too, and what is bound meanwhile is in the line.
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
        clear_contextvars()
        bind_contextvars(request_id=request_id)

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        finally:
            failed = status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            (logger.warning if failed else logger.info)(
                "request",
                method=scope["method"],
                route=_route(scope),
                status=status,
                milliseconds=round((perf_counter() - started) * 1000, 1),
            )


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def _route(scope: Scope) -> str | None:
    """The template of the path, or None if there is no such route.

    FastAPI keeps that of an included router apart from ``scope["route"]``, which has no prefix.
    """
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(route, "path", None)
