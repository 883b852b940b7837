"""Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13.1).

A tag is the time of the last change, which no two states of a row share.
"""

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Header
from pydantic import StringConstraints, TypeAdapter, WithJsonSchema

from app.kit.models.fields import ENTITY_TAG
from app.kit.models.schemas import ReadSchema
from app.kit.models.time import from_microseconds

Tags = Annotated[
    str, StringConstraints(max_length=1000, pattern=r"^[\t\u0020-\u007e\u0080-\u00ff]*$")
]
"""Whatever may be in a header (RFC 9110, section 5.5), so that no tag is invalid."""

# A client sends one line, but what is in between may split it (RFC 9110, section 5.3).
Lines = Annotated[
    list[Tags] | None,
    WithJsonSchema({**TypeAdapter(Tags).json_schema(), "examples": ['"660d99fc89b70"']}),
]

IfMatch = Annotated[
    Lines,
    Header(
        alias="If-Match",
        description="Do it only if the item still has one of these entity tags; else 412.",
    ),
]
IfNoneMatch = Annotated[
    Lines,
    Header(
        alias="If-None-Match",
        description="Answer 304, without a body, if the item has one of these entity tags.",
    ),
]
_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {
        "description": "The version of the item, for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string", "pattern": ENTITY_TAG, "maxLength": 18},
    },
    "Location": {
        "description": "Where the item is.",
        "schema": {"type": "string", "format": "uri-reference", "maxLength": 1000},
    },
}
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t]*(?:,[ \t,]*|$))*")
_GIVEN_OUT = re.compile("0|-?[1-9a-f][0-9a-f]{0,14}")


def etag_headers(*headers: str, **more: Any) -> dict[str, Any]:
    """Document a response that has an entity tag, perhaps other headers, and more of each."""
    return {"headers": {name: {**_HEADERS[name], **more} for name in ("ETag", *headers)}}


def parse_if_match(if_match: list[str] | None) -> list[datetime] | None:
    """Return the times of last change that ``If-Match`` allows; None if it allows any.

    A weak tag allows nothing, and a tag that was never given out fits nothing.
    """
    if if_match is None or _value(if_match) == "*":
        return None
    tags = [tag for weak, tag in _listed(if_match) if not weak]
    return [from_microseconds(int(tag, 16)) for tag in tags if _GIVEN_OUT.fullmatch(tag)]


def is_current(if_none_match: list[str] | None, row: ReadSchema) -> bool:
    """Tell whether the client has the row as it is, by weak comparison."""
    if if_none_match is None:
        return False
    tags = [f'"{tag}"' for _, tag in _listed(if_none_match)]
    return _value(if_none_match) == "*" or row.etag in tags


def _listed(lines: list[str]) -> list[tuple[str, str]]:
    """Parse into (weak, tag) pairs; a malformed list yields none."""
    value = _value(lines)
    return _TAG.findall(value) if _LIST.fullmatch(value) else []


def _value(lines: list[str]) -> str:
    return ", ".join(lines).strip(" \t")
