"""Which error is answered with which problem."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match
from structlog.contextvars import bind_contextvars

from app.kit.api.problems import problem
from app.kit.db.errors import (
    DatabaseUnavailableError,
    DuplicateKeyError,
    ForeignKeyError,
    IntegrityError,
    OutOfRangeError,
    StillReferencedError,
    VersionConflictError,
)

_NOT_JSON = "The body is not valid JSON."


async def _http(request: Request, error: HTTPException) -> Response:
    headers = error.headers
    if error.status_code == HTTPStatus.BAD_REQUEST and error.__cause__:
        return problem(400, _NOT_JSON)  # FastAPI says so of what is not even text
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette names the methods of one route, but there may be more at this path.
        headers = {"Allow": ", ".join(_methods(request))}
    return problem(error.status_code, error.detail, headers=headers)


def _methods(request: Request) -> list[str]:
    asked = {key: request.scope[key] for key in ("type", "path", "root_path", "headers")}
    routes = [*iter_route_contexts(request.app.routes)]
    found: list[str] = []
    for method in HTTPMethod:
        matching = (r for r in routes if r.matches({**asked, "method": method})[0] is Match.FULL)
        first = next(matching, None)
        if first and first.endpoint is not no_such_method:
            found.append(method)
    return [*found, "HEAD"] if "GET" in found else found


async def no_such_method() -> None:
    """Answer 405, at a path that another route would take for that of an item."""
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


async def _invalid(_request: Request, error: RequestValidationError) -> Response:
    errors = error.errors()
    if isinstance(error.body, bytes):  # FastAPI parses a body that says that it is JSON
        return problem(415, "The body must be sent as application/json.")
    if errors[0]["type"] == "json_invalid":
        return problem(400, _NOT_JSON)
    return _invalid_parts(errors)


def _invalid_parts(errors: Sequence[Any]) -> Response:
    return problem(422, "Some parts of the request are not valid: see errors.", errors=errors)


async def _duplicate(_request: Request, error: DuplicateKeyError) -> Response:
    return duplicate(error)


def duplicate(error: DuplicateKeyError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the problem of a value that must be unique and is there already."""
    fields = " and ".join(error.fields) or "value"  # PostgreSQL need not say of what
    message = f"There is an item with this {fields} already."
    errors = [{"loc": place, "msg": message} for place in _places(error)]
    return problem(409, message, headers=headers, errors=errors)


async def _broken_reference(_request: Request, error: ForeignKeyError) -> Response:
    message = "There is nothing with this id."
    return _invalid_parts([{"loc": place, "msg": message} for place in _places(error)])


def _places(error: IntegrityError) -> list[tuple[str | int, ...]]:
    """Return where the refused values are in the body."""
    if error.rows is None:
        return [("body", field) for field in error.fields]
    rows = [("body", "items", number) for number in error.rows]
    # Another request may have changed since what was refused.
    return [(*row, field) for row in rows for field in error.fields] or [("body", "items")]


async def _unfit(_request: Request, error: OutOfRangeError) -> Response:
    bind_contextvars(cause=str(error))  # the model should have refused it, and named the field
    return _invalid_parts([{"loc": (), "msg": "There is a value that cannot be stored."}])


async def _referenced(_request: Request, _error: StillReferencedError) -> Response:
    return problem(409, "There are other items that refer to this one.")


async def _changed(_request: Request, _error: VersionConflictError) -> Response:
    return problem(412, "The item has changed since: read it again, then retry.")


async def _unavailable(_request: Request, error: DatabaseUnavailableError) -> Response:
    bind_contextvars(cause=str(error))
    wait = {"Retry-After": "1"}
    return problem(503, "The database cannot be reached. Try again.", headers=wait)


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _http,
    RequestValidationError: _invalid,
    DuplicateKeyError: _duplicate,
    ForeignKeyError: _broken_reference,
    StillReferencedError: _referenced,
    VersionConflictError: _changed,
    OutOfRangeError: _unfit,
    DatabaseUnavailableError: _unavailable,
}
"""The handlers of errors, but for unexpected ones: see `app.kit.api.envelope`."""
