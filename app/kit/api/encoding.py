"""Lists in JSON, if possible without an instance of their schema for each row."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, cast

from msgspec import json
from pydantic import BaseModel

from app.kit.db.crud import reader
from app.kit.models.schemas import ReadSchema

Encode = Callable[[dict[str, Any]], bytes]

_ALIKE = {
    *("uuid", "datetime", "date", "str", "bool", "int", "literal", "list", "nullable"),
    # What a field is wrapped in, and what validates before it, which rows are not.
    *("model-field", "function-before", "no-info"),
}
"""What Pydantic calls the types of which msgspec writes each value as Pydantic does."""


def page_encoder(page: type[BaseModel], read_schema: type[ReadSchema]) -> Encode:
    """Return what makes JSON of a page whose items are the values of rows, by field.

    Msgspec takes a fourth of the time that Pydantic takes for the same, and no instances. Where a
    schema says how to write something, or has a type that the two might write differently, Pydantic
    does it.
    """
    read = reader(read_schema)

    def by_pydantic(values: dict[str, Any]) -> bytes:
        whole = page.model_construct(**{**values, "items": read(values["items"])})
        return page.__pydantic_serializer__.to_json(whole, by_alias=True)

    def by_msgspec(values: dict[str, Any]) -> bytes:
        try:
            return json.encode(values)
        except TypeError:  # a value of another type, such as a kind of str that a column makes
            return by_pydantic(values)

    return by_msgspec if _is_alike(read_schema) else by_pydantic


def _is_alike(schema: type[BaseModel]) -> bool:
    """Tell whether msgspec writes the values of a schema as Pydantic writes an instance."""
    own, core = schema.__pydantic_decorators__, cast("Any", schema.__pydantic_core_schema__)
    if core["type"] != "model" or any(getattr(own, part.name) for part in fields(own)):
        return False
    if any(info.serialization_alias for info in schema.model_fields.values()):
        return False
    parts = [core.get("config", {}), *core["schema"]["fields"].values()]
    return set(_types(parts)) <= _ALIKE


def _types(part: Any) -> Iterator[str]:  # noqa: ANN401 - a part of a schema of pydantic-core
    """Give the types in a part of a schema, and the names of what says how to write them."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "type":
                yield value
            elif name.startswith("ser"):
                yield name
            elif name != "metadata":
                yield from _types(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _types(value)
