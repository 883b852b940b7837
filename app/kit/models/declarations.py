"""What a field is declared as: its type, made strict and bounded, or why it cannot work."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

from pydantic import (
    MISSING,
    AfterValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo

from app.kit.models.fields import (
    BIG_INTEGER,
    ENTITY_TAG,
    KINDS,
    LINE,
    MEMBERS,
    NO_NUL,
    OWNER_ID,
    Kind,
    References,
    Schema,
)

_UNREAD = {
    "primary_key": "leave it out: Owned has the key",
    "foreign_key": 'annotate the type, as Annotated[UUID, References("task")]',
    "unique": "name the field in `unique`",
    "index": "name the field in `filterable` or `sortable`",
    "nullable": "declare the type with `| None`",
    "regex": "write pattern=",
    "exclude": "name the field in `not_in_read`",
    **dict.fromkeys(("alias", "validation_alias", "serialization_alias"), "rename the field"),
    **dict.fromkeys(("const", "discriminator", "include", "unique_items"), "leave it out"),
    **dict.fromkeys(("sa_type", "sa_column", "sa_column_args", "sa_column_kwargs"), "leave it out"),
}
"""The arguments of SQLModel's and Pydantic's ``Field`` that are refused, and what to write."""
_UNSET = (None, FieldInfo().default)
_SUPPORTED = f"{', '.join(kind.__name__ for kind in KINDS)}, a StrEnum or a Literal of text"


class StrictType(NamedTuple):
    """A declared type, made strict.

    Attributes:
        annotation: the type for Pydantic, without null.
        value: the same without its description and examples.
        kind: what the kit knows of it.
        schema: its JSON Schema.
        is_nullable: whether the declared type has null.
        is_optional: whether the declared type has `MISSING`.
        references: which rows it refers to, if any.
    """

    annotation: Any
    value: Any
    kind: Kind
    schema: Schema
    is_nullable: bool
    is_optional: bool
    references: References | None

    def declared(self, *, is_optional: bool) -> Any:  # noqa: ANN401 - an annotation
        """Return the type with null, if it has null, and with `MISSING`, if it is optional."""
        annotation = self.annotation
        if is_optional:
            annotation = annotation | MISSING
        return annotation | None if self.is_nullable else annotation


def strict_type(field: FieldInfo) -> StrictType:
    """Make the type of a field strict and bounded.

    Args:
        field: of a table or a schema, made by either ``Field``, of SQLModel or of Pydantic.

    Raises:
        TypeError: the type is not supported, is unbounded text, or has bounds that its column
            cannot hold. The message says what to write instead; the caller adds whose field it is.
    """
    bare, annotated, others = _taken_apart(field.annotation)
    _refuse_unread([*annotated, field])
    metadata = list(_constraints([*annotated, *field.metadata]))
    shown = _shown([*annotated, field])
    kind = _kind(bare, metadata, shown)
    if bare is str:
        metadata = _refusing_nul(metadata, shown)
    # A type that has its own pattern or schema, as `Line` and `NewId` do, is strict already.
    is_strict = any(isinstance(m, WithJsonSchema) or hasattr(m, "pattern") for m in metadata)
    strict = () if is_strict else getattr(kind.strict, "__metadata__", ())
    metadata = [*(item for item in _constraints(strict) if item not in metadata), *metadata]
    shown = {**_shown(strict), **shown}
    metadata = [_with_shown(item, shown) for item in metadata]
    extra = {"json_schema_extra": shown.pop("json_schema_extra", None)}
    value = Annotated[bare, *metadata, Field(**extra, **_narrowest(metadata))]  # type: ignore[valid-type]
    schema = TypeAdapter(value).json_schema()
    if bare is str and "maxLength" not in schema:
        raise TypeError("text needs a bound: write Field(max_length=200), say")
    references = next((item for item in metadata if isinstance(item, References)), None)
    return StrictType(
        Annotated[value, Field(**shown)],
        value,
        kind,
        schema,
        NoneType in others,
        MISSING in others,
        references,
    )


def _taken_apart(declared: Any) -> tuple[Any, list[Any], set[Any]]:  # noqa: ANN401 - an annotation
    """Return a type, what is annotated to it, and null and `MISSING` if it has them."""
    if get_origin(declared) is Annotated:
        inner, *annotated = get_args(declared)
        bare, before, others = _taken_apart(inner)
        return bare, [*before, *annotated], others
    if get_origin(declared) not in {Union, UnionType}:
        return declared, [], set()
    others = {NoneType, MISSING} & {*get_args(declared)}
    types = [part for part in get_args(declared) if part not in others]
    if len(types) != 1:
        names = " | ".join(_name(_taken_apart(part)[0]) for part in types)
        raise TypeError(f"{names} is more than one type: declare one of them")
    bare, annotated, more = _taken_apart(types[0])
    return bare, annotated, others | more


def _name(declared: Any) -> str:  # noqa: ANN401 - a type
    return getattr(declared, "__name__", str(declared))


def _refuse_unread(annotated: Iterable[Any]) -> None:
    for item in annotated:
        if not isinstance(item, FieldInfo):
            continue
        # SQLModel hands on all its arguments, and Pydantic keeps those that it does not know here.
        given = [item._attributes_set, *map(vars, filter(_is_of_sqlmodel, item.metadata))]  # noqa: SLF001
        for argument, instead in _UNREAD.items():
            if any(values.get(argument) not in _UNSET for values in given):
                raise TypeError(f"Field({argument}=…) does nothing here: {instead}")


def _is_of_sqlmodel(item: object) -> bool:
    return hasattr(item, "sa_type")


def _constraints(annotated: Iterable[Any]) -> Iterator[Any]:
    """Give each constraint by itself: a ``Field`` and ``StringConstraints`` have several."""
    for item in annotated:
        if isinstance(item, FieldInfo):
            yield from _constraints(item.metadata)
        elif isinstance(item, StringConstraints):
            yield from _constraints(item)
        elif not _is_of_sqlmodel(item):
            yield item


def _shown(annotated: Iterable[Any]) -> dict[str, Any]:
    """Return what fields add to the JSON Schema. The last one has the last word."""
    return {
        name: value
        for item in annotated
        if isinstance(item, FieldInfo)
        for name in ("description", "examples", "json_schema_extra", "deprecated")
        if (value := getattr(item, name)) is not None
    }


def _with_shown(item: Any, shown: dict[str, Any]) -> Any:  # noqa: ANN401 - a constraint
    """Add to a schema that is written out what Pydantic would not."""
    if isinstance(item, WithJsonSchema):
        return WithJsonSchema({**(item.json_schema or {}), **shown})
    return item


def _narrowest(metadata: Iterable[Any]) -> dict[str, Any]:
    """Return the narrowest of the bounds; Pydantic would take the last ones."""
    narrower = {"ge": max, "gt": max, "le": min, "lt": min, "min_length": max, "max_length": min}
    bounds: dict[str, Any] = {}
    for item in metadata:
        for name, choose in narrower.items():
            if (bound := getattr(item, name, None)) is not None:
                bounds[name] = choose(bound, bounds.get(name, bound))
    return bounds


def _kind(bare: Any, metadata: list[Any], shown: dict[str, Any]) -> Kind:  # noqa: ANN401 - a type
    if get_origin(bare) is Literal and all(isinstance(member, str) for member in get_args(bare)):
        return MEMBERS
    if isinstance(bare, type) and issubclass(bare, StrEnum):
        return MEMBERS
    if bare not in KINDS:
        raise TypeError(f"{_name(bare)} is not supported: declare one of {_SUPPORTED}")
    bounds = [getattr(m, name, None) for m in metadata for name in ("ge", "gt", "le", "lt")]
    numbers = [bound for bound in bounds if bound is not None]
    if bare in {date, datetime, UUID} and numbers:
        raise TypeError(f"a {bare.__name__} has no bounds in JSON Schema: leave them out")
    if bare is not int:
        return KINDS[bare]
    if not all(-(2**53) < number < 2**53 for number in numbers):
        raise TypeError("a bound is beyond 53 bits, the most that JavaScript has: narrow it")
    is_small = all(-(2**31) <= number < 2**31 for number in numbers)
    is_big = shown.get("json_schema_extra") == {"format": "int64"} or not is_small
    return BIG_INTEGER if is_big else KINDS[int]


def _refusing_nul(metadata: list[Any], shown: dict[str, Any]) -> list[Any]:
    """Add what refuses NUL in text, beside a pattern of the field's own."""
    patterns = {pattern for item in metadata if (pattern := getattr(item, "pattern", None))}
    if len(patterns) > 1:
        raise TypeError("text has two patterns, and only one would be checked: write one")
    if patterns - {LINE, NO_NUL, OWNER_ID, ENTITY_TAG}:
        shown["json_schema_extra"] = {"allOf": [{"pattern": NO_NUL}]}
        return [*metadata, AfterValidator(_without_nul)]
    return metadata


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("Value should have no NUL character")
    return text
