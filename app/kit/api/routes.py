"""A table of the routes, in which a path is found as fast among a hundred of them as among ten."""

import re
from collections import defaultdict
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.params import Form
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.convertors import StringConvertor
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.api.direct import DIRECT, Handler

_WHOLE = re.compile(r"(/(\{\w+\}|[^{}/]*))+")
"""A path whose parameters are whole segments."""


class _Entry(NamedTuple):
    """A route in the table.

    Attributes:
        order: its place among all routes; the first that matches answers.
        app: what answers by way of FastAPI.
        answer: what answers a request directly, or None.
        parameters: the names of its parameters, and which segments of the path they are.
        known: what FastAPI's router puts into the scope of each request.
        context: what FastAPI knows about the route, with the prefix of its router.
    """

    order: int
    app: ASGIApp
    answer: Handler | None
    parameters: dict[str, int]
    known: dict[str, Any]
    context: RouteContext


class RouteTable:
    """The routes of an application, by their methods and the segments of their paths.

    FastAPI's own router tries one regular expression after the other. It is asked for what is not
    in the table: what is nowhere, another method of a path, a route that was added after the first
    request, a mounted application, a parameter that is not a whole segment. So the answer is the
    same, whoever finds the route.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._entries: dict[tuple[str | None, ...], _Entry] = {}
        self._shapes: defaultdict[int, set[tuple[int, ...]]] = defaultdict(set)
        """For each number of segments, which of them are parameters."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered by its route."""
        entry = None
        # FastAPI's router tells its telemetry, if there is any, which route it has found.
        if scope["type"] == "http" and "fastapi.telemetry" not in scope:
            if not self._entries:
                self._fill()
            entry = self._find(scope)
        if entry and entry.answer and not self._app.dependency_overrides:
            response = await entry.answer(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            app = entry.app if entry else self._app.router.app
            await app(scope, receive, send)

    def _fill(self) -> None:
        others: list[str] = []
        for order, route in enumerate(iter_route_contexts(self._app.routes)):
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
            answer = getattr(route, DIRECT, None)
            entry = _Entry(order, route.app, answer, parameters, known, route)
            for method in route.methods or ():
                self._entries.setdefault(_key(method, segments, shape), entry)

    def _find(self, scope: Scope) -> _Entry | None:
        """Find the route of a request, and put into the scope what FastAPI's router would."""
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        segments = path.split("/")
        found: _Entry | None = None
        for shape in self._shapes.get(len(segments), ()):
            entry = self._entries.get(_key(scope["method"], segments, shape))
            if entry and (found is None or entry.order < found.order):
                found = entry
        if found is None:
            return None
        given = {name: segments[place] for name, place in found.parameters.items()}
        scope["path_params"] = {**scope.get("path_params", {}), **given}
        scope["fastapi"] = {**scope.get("fastapi", {}), "effective_route_context": found.context}
        scope.update(found.known)
        scope.setdefault("router", self._app.router)
        return found


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
