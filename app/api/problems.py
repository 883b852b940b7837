"""Errors, all of one shape: problem documents (RFC 9457)."""

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import MISSING, BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.db.crud import RowChangedError
from app.db.engine import DatabaseUnavailableError, DuplicateError
from app.models.fields import Text

MEDIA_TYPE = "application/problem+json"

# RFC 9110 renamed them, and Python followed in 3.13.
_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}

_LONGEST_POINTER = 1000
_MOST_ERRORS = 100

logger = logging.getLogger(__name__)


class InvalidPart(BaseModel):
    """A part of a request that was refused."""

    pointer: Annotated[
        Text,
        Field(
            max_length=_LONGEST_POINTER,
            description="A JSON Pointer (RFC 6901) into body, query, path or header.",
            examples=["/body/title"],
        ),
    ]
    detail: Annotated[Text, Field(max_length=1000, description="Why.", examples=["Field required"])]


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: Annotated[
        Literal["about:blank"], Field(description="The status says what kind of problem it is.")
    ]
    title: Annotated[
        Text, Field(max_length=100, description="The name of the status.", examples=["Not Found"])
    ]
    status: Annotated[
        int,
        Field(
            ge=400,
            le=599,
            description="The status of the response.",
            examples=[404],
            json_schema_extra={"format": "int32"},
        ),
    ]
    detail: Annotated[
        Text,
        Field(
            max_length=1000,
            description="What is wrong with this request.",
            examples=["There is nothing with this id."],
        ),
    ]
    errors: Annotated[
        list[InvalidPart] | MISSING,
        Field(max_length=_MOST_ERRORS, description="On 422: the parts that were refused."),
    ] = MISSING


_HEADERS: dict[int, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {
            "description": "How to say who is asking.",
            "schema": {"type": "string", "const": "APIKey"},
        }
    },
    503: {
        "Retry-After": {
            "description": "Seconds to wait before the next attempt.",
            "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 60},
        }
    },
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` argument of a route that can answer with these errors."""
    return {
        status: {
            "model": ProblemDetails,
            "description": _phrase(status),
            "headers": _HEADERS.get(status, {}),
        }
        for status in statuses
    }


def _problem(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[InvalidPart] | MISSING = MISSING,
) -> Response:
    problem = ProblemDetails(
        type="about:blank",
        title=_phrase(status),
        status=status,
        detail=detail,
        errors=errors,
    )
    return Response(problem.model_dump_json(), status, headers, MEDIA_TYPE)


async def _http(request: Request, error: HTTPException) -> Response:
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette names the methods of one route, but there may be more at this path.
        headers = {"Allow": ", ".join(_methods(request))}
    return _problem(error.status_code, error.detail, headers=headers)


def _methods(request: Request) -> list[str]:
    asked = {key: request.scope[key] for key in ("type", "path", "root_path", "headers")}
    routes = request.app.routes
    return [
        method
        for method in HTTPMethod
        if any(route.matches({**asked, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _invalid(_request: Request, error: RequestValidationError) -> Response:
    errors = error.errors()
    if isinstance(error.body, bytes):  # FastAPI parses a body that says that it is JSON
        return _problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be sent as application/json."
        )
    if errors[0]["type"] == "json_invalid":
        return _problem(HTTPStatus.BAD_REQUEST, "The body is not valid JSON.")
    return _problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Some parts of the request are not valid: see errors.",
        errors=[
            InvalidPart(
                pointer=_pointer(part["loc"]), detail=part["msg"].removeprefix("Value error, ")
            )
            for part in errors[:_MOST_ERRORS]
        ],
    )


async def _duplicate(_request: Request, _error: DuplicateError) -> Response:
    return _problem(HTTPStatus.CONFLICT, "There is an item with this id already.")


async def _changed(_request: Request, _error: RowChangedError) -> Response:
    return _problem(
        HTTPStatus.PRECONDITION_FAILED, "The item has changed since: read it again, then retry."
    )


async def _unavailable(_request: Request, error: DatabaseUnavailableError) -> Response:
    logger.warning("database unavailable: %s", type(error.__cause__).__name__)
    return _problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database cannot be reached. Try again.",
        headers={"Retry-After": "1"},
    )


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _http,
    RequestValidationError: _invalid,
    DuplicateError: _duplicate,
    RowChangedError: _changed,
    DatabaseUnavailableError: _unavailable,
}
"""What answers which error, but for the unexpected ones."""


class UnexpectedErrors:
    """Answers 500 to any other error.

    This is a middleware, because a handler of Exception would answer outside of all middleware,
    and so without the headers that errors need as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            logger.exception("unexpected error")
            response = _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed to answer.")
            await response(scope, receive, send)


def _phrase(status: int) -> str:
    return _RENAMED.get(status, HTTPStatus(status).phrase)


def _pointer(location: Sequence[int | str]) -> str:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    pointer = "".join(f"/{part}" for part in parts)
    # The client chose the names of unknown fields: it may have sent NUL or lone surrogates.
    return pointer[:_LONGEST_POINTER].replace("\0", "\ufffd").encode(errors="replace").decode()
