"""What an error looks like: a problem document (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import MISSING, BaseModel, Field

from app.kit.models.fields import Text

MEDIA_TYPE = "application/problem+json"

# RFC 9110 renamed them, and Python followed in 3.13.
_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}

_LONGEST_POINTER = 1000
_LONGEST_DETAIL = 1000
_MOST_ERRORS = 100


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
    detail: Annotated[
        Text, Field(max_length=_LONGEST_DETAIL, description="Why.", examples=["Field required"])
    ]


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
        Field(max_length=_MOST_ERRORS, description="On 409 and 422: the parts that were refused."),
    ] = MISSING


_HEADERS: dict[int, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {
            "description": "How to say who is asking.",
            "schema": {"type": "string"},  # the document adds the challenge of the scheme
        }
    },
    503: {
        "Retry-After": {
            "description": "Seconds to wait before the next attempt.",
            "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 60},
        }
    },
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` argument of a route that can answer with these errors."""
    return {
        status: {
            "model": ProblemDetails,
            "description": _phrase(status),
            "headers": _HEADERS.get(status, {}),
        }
        for status in statuses
    }


def problem(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Any] = (),
) -> Response:
    """Return an error as a response.

    Args:
        status: the status of the response.
        detail: a sentence on what is wrong.
        headers: further headers.
        errors: what Pydantic found, of which the client is told all but its own input.
    """
    document = ProblemDetails(
        type="about:blank",
        title=_phrase(status),
        status=status,
        detail=detail,
        errors=[_invalid_part(error) for error in errors[:_MOST_ERRORS]] or MISSING,
    )
    return Response(document.model_dump_json(), status, headers, MEDIA_TYPE)


def _phrase(status: int) -> str:
    return _RENAMED.get(status, HTTPStatus(status).phrase)


def _invalid_part(error: dict[str, Any]) -> InvalidPart:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"])
    pointer = "".join(f"/{part}" for part in parts)[:_LONGEST_POINTER]
    return InvalidPart(
        # The client chose the names of unknown fields: it may have sent NUL or lone surrogates.
        pointer=pointer.replace("\0", "\ufffd").encode(errors="replace").decode(),
        detail=error["msg"].removeprefix("Value error, ")[:_LONGEST_DETAIL],
    )
