"""Values that fit the JSON Schema of a field."""

import re
from datetime import UTC, date, datetime, timedelta
from math import inf
from string import ascii_letters, digits
from typing import Any
from uuid import uuid4

Schema = dict[str, Any]

_DAY = date(2026, 11, 22)
_TIME = datetime(2026, 11, 22, tzinfo=UTC)
_LENGTH = 12


def resolved(name: str, field: Schema, schemas: Schema) -> Schema:
    """Return the schema of a field, but for null, with what it refers to and its name."""
    variant = field.get("anyOf", [field])[0]
    reference = variant.get("$ref", "").rpartition("/")[2]
    found = {**schemas.get(reference, {}), **variant, **field, "title": name}
    items = {"items": resolved(name, found["items"], schemas)} if "items" in found else {}
    return {**found, **items}


def example_of(schema: Schema) -> Any:
    """Return a value that fits a schema: its example, if it has one.

    Raises:
        NotImplementedError: the schema needs an example.
    """
    return schema["examples"][0] if "examples" in schema else value_of(schema, 0)


def value_of(schema: Schema, number: int) -> Any:
    """Return a value that fits a schema, for each number another one as long as there are any.

    Raises:
        NotImplementedError: the schema needs an example.
    """
    value: Any
    match schema.get("format", "enum" if "enum" in schema else schema["type"]):
        case "enum" | "boolean":
            members = schema.get("enum", [True, False])
            value = members[number % len(members)]
        case "uuid":
            value = str(uuid4())
        case "date":
            value = (_DAY + timedelta(days=number)).isoformat()
        case "date-time":
            value = f"{_TIME + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}"
        case "int32" | "int64" | "double":
            value = _number(schema, number)
        case "uri":
            value = f"https://example.com/{number}"
        case "string" | "decimal" | "time-local" | "email":
            value = _text(schema, number)
        case "array":
            value = _list(schema, number)
        case "object":
            value = {"number": number}
        case kind:
            raise NotImplementedError(f"{schema['title']} is a {kind}: give it an example")
    return value


def _list(schema: Schema, number: int) -> list[Any]:
    places = range(schema.get("minItems", 1))
    return [value_of(schema["items"], number + place) for place in places]


def _number(schema: Schema, number: int) -> Any:
    least, most = _bounds(schema)
    if schema["type"] == "integer":
        return least + number % (most - least + 1)
    return least / 2 + most / 2 + number % 1000 * (most / 2001 - least / 2001)


def _bounds(schema: Schema) -> tuple[Any, Any]:
    step = 1 if schema["type"] == "integer" else 0
    least = max(schema.get("minimum", -inf), schema.get("exclusiveMinimum", -inf) + step)
    most = min(schema.get("maximum", inf), schema.get("exclusiveMaximum", inf) - step)
    return least, most


def _text(schema: Schema, number: int) -> str:
    """Count with letters and digits, at the places of the example where the pattern lets them."""
    length = min(max(_LENGTH, schema.get("minLength", 1)), schema.get("maxLength", inf))
    text: str = schema.get("examples", ["x" * length])[0]
    matches = re.compile(schema.get("pattern", "")).search
    if not matches(text):
        raise NotImplementedError(f"{schema['title']} has a pattern: give it an example")
    values = 1
    for place in reversed(range(len(text))):
        others = [text[:place] + sign + text[place + 1 :] for sign in digits + ascii_letters]
        fitting = [*filter(matches, others)] or [text]
        text = fitting[number // values % len(fitting)]
        values *= len(fitting)
    if number and values == 1:
        raise NotImplementedError(f"{schema['title']}: give it an example with letters or digits")
    return text
