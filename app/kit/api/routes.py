"""A table of the routes that answer directly, found as fast among a hundred as among ten."""

import re
from collections import defaultdict
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.api.direct import Handler, direct_answer

_WHOLE = re.compile(r"(/(\{\w+\}|[^{}/]*))+")
"""A path whose parameters are whole segments."""


class _Entry(NamedTuple):
    """A route in the table.

    Attributes:
        order: its place among all routes; the first that matches answers.
        answer: what answers a request directly, or None if only FastAPI does.
        parameters: the names of its parameters, and which segments of the path they are.
        known: what FastAPI's router puts into the scope of each request.
        context: what it puts there about the route, with the prefix of its router.
    """

    order: int
    answer: Handler | None
    parameters: dict[str, int]
    known: dict[str, Any]
    context: RouteContext


class DirectRoutes:
    """Middleware that has each route answer directly that can.

    The table has the routes by their methods and the segments of their paths, where FastAPI tries
    one regular expression after the other. FastAPI answers what is not in the table: what is
    nowhere, another method of a path, a mounted application, a parameter that is not a whole
    segment. It answers all while dependencies are overridden, and what is traced. So the answer is
    the same, whoever finds the route. The table is made at the first request: a route that is added
    later is FastAPI's, but none may be removed, or put before others, after that.

    Args:
        app: what FastAPI has inside of all middleware.

    Raises:
        TypeError: it is not the last of the middleware.
    """

    def __init__(self, app: ASGIApp) -> None:
        if not isinstance(app, ExceptionMiddleware):
            raise TypeError(
                f"{type(app).__name__} would be left out: add it before DirectRoutes in the list of"
                " middleware, which has the outermost first"
            )
        self._app = app
        self._entries: dict[tuple[str | None, ...], _Entry] = {}
        self._shapes: defaultdict[int, set[tuple[int, ...]]] = defaultdict(set)
        """For each number of segments, which of them are parameters."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        answer = None
        if scope["type"] == "http" and "fastapi.telemetry" not in scope:
            app: FastAPI = scope["app"]
            if not app.dependency_overrides:
                answer = self._find(app, scope)
        if answer is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await answer(request)
        except Exception as error:  # noqa: BLE001 - it is raised again if nothing handles it
            response = await _handled(error, request)
        await response(scope, receive, send)

    def _find(self, app: FastAPI, scope: Scope) -> Handler | None:
        """Find what answers, and put into the scope what FastAPI's router would."""
        if not self._shapes:
            self._fill(app)
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        segments = path.split("/")
        found: _Entry | None = None
        for shape in self._shapes.get(len(segments), ()):
            entry = self._entries.get(_key(scope["method"], segments, shape))
            if entry and (found is None or entry.order < found.order):
                found = entry
        if found is None:
            return None
        if found.answer is None:
            scope["route"] = found.known["route"]  # for the log: Starlette's own routes do not say
            return None
        given = {name: segments[place] for name, place in found.parameters.items()}
        scope["path_params"] = {**scope.get("path_params", {}), **given}
        scope["fastapi"] = {**scope.get("fastapi", {}), "effective_route_context": found.context}
        scope.update(found.known)
        scope.setdefault("router", app.router)
        return found.answer

    def _fill(self, app: FastAPI) -> None:
        others: list[str] = []  # the beginnings of the paths that are FastAPI's
        for order, route in enumerate(iter_route_contexts(app.routes)):
            beginning = (route.path or "").partition("{")[0]
            # What may match the same path, and comes first, is for FastAPI's router to try.
            hidden = any(beginning.startswith(o) or o.startswith(beginning) for o in others)
            if hidden or not _is_plain(route):
                others.append(beginning)
                continue
            segments = (route.path_format or "").split("/")
            parameters = {s[1:-1]: place for place, s in enumerate(segments) if s[:1] == "{"}
            shape = tuple(parameters.values())
            self._shapes[len(segments)].add(shape)
            known = {"endpoint": route.endpoint, "route": route.original_route}
            entry = _Entry(order, direct_answer(route.app), parameters, known, route)
            for method in route.methods or ():
                self._entries.setdefault(_key(method, segments, shape), entry)


def _key(method: str, segments: list[str], shape: tuple[int, ...]) -> tuple[str | None, ...]:
    """Return a method and the segments of a path, with None for the values of parameters."""
    key: list[str | None] = [method, *segments]
    for place in shape:
        key[place + 1] = None if segments[place] else ""  # which is no value
    return tuple(key)


def _is_plain(route: RouteContext) -> bool:
    """Tell whether a route answers each request with its method and its path, as any other."""
    original = route.original_route
    body = getattr(route, "body_field", None)
    return (
        type(original).matches in {Route.matches, APIRoute.matches}
        and type(original).handle in {Route.handle, APIRoute.handle}
        and bool(route.methods)
        and _WHOLE.fullmatch(route.path_format or "") is not None
        and all(type(c) is StringConvertor for c in route.param_convertors.values())
        # How much of a form is read may be told by each of its routers.
        and not (body and isinstance(body.field_info, Form))
    )


async def _handled(error: Exception, request: Request) -> Response:
    """Return what the handlers of the application answer to an error, or to one of their own.

    Raises:
        Exception: what they do not handle.
    """
    try:
        return await _response_to(error, request)
    except Exception as raised:
        if raised is error:
            raise
        return await _response_to(raised, request)


async def _response_to(error: Exception, request: Request) -> Response:
    handlers = request.app.exception_handlers
    status = error.status_code if isinstance(error, HTTPException) else None
    # Starlette has the handler of 500 or Exception answer for all middleware.
    kinds = [kind for kind in (status, *type(error).__mro__) if kind not in {500, Exception}]
    handler = next((handlers[kind] for kind in kinds if kind in handlers), None)
    if handler is None:
        raise error
    if iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__):
        response = await handler(request, error)
    else:
        response = await run_in_threadpool(handler, request, error)
    error.__traceback__ = None  # it would grow with each request that raises the same instance
    answer: Response = response
    return answer
