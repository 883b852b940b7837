"""What a field is declared as: its type, made strict and bounded, or why it cannot work."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

from pydantic import (
    MISSING,
    AfterValidator,
    AnyUrl,
    EmailStr,
    Field,
    HttpUrl,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo

from app.kit.models.addresses import ANY_URL, EMAIL, HTTP_URL
from app.kit.models.decimals import MOST_DIGITS
from app.kit.models.fields import (
    BIG_INTEGER,
    ENTITY_TAG,
    KINDS,
    LINE,
    MEMBERS,
    NO_NUL,
    OWNER_ID,
    POSITIVE_DURATION_KIND,
    Kind,
    References,
    Schema,
    decimal_kind,
    list_kind,
)
from app.kit.models.objects import LIMITS

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
_CHECKED_TEXT = frozenset({EmailStr, HttpUrl, AnyUrl})
"""What is text to Python, and not what it is declared as."""
_OBJECT = dict[str, Any]
_SUPPORTED = (
    f"{', '.join(kind.__name__ for kind in KINDS if kind != _OBJECT)}, Decimal, dict[str, Any],"
    " a StrEnum, a Literal of text, or a list of these"
)


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
        item: the type of the items, if it is a list.
    """

    annotation: Any
    value: Any
    kind: Kind
    schema: Schema
    is_nullable: bool
    is_optional: bool
    references: References | None
    item: "StrictType | None"

    @property
    def stored(self) -> Schema:
        """What bounds its column: its JSON Schema, with what this cannot say."""
        return {**self.schema, **self.kind.stored}

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
        TypeError: the type is not supported, is unbounded text or an unbounded list, or has bounds
            that its column cannot hold. The message says what to write instead; the caller adds
            whose field it is.
    """
    bare, annotated, others = _taken_apart(field.annotation)
    _refuse_unread([*annotated, field])
    metadata = list(_constraints([*annotated, *field.metadata]))
    shown = _shown([*annotated, field])
    of = _item(bare)
    kind = list_kind(of.kind, of.stored) if of else _kind(bare, metadata, shown)
    if bare is str:
        metadata = _refusing_nul(metadata, shown)
    if bare == _OBJECT and LIMITS not in shown.get("description", ""):
        shown["description"] = f"{shown.get('description', '')} {LIMITS}".strip()
    if of:
        bare = list[of.annotation]  # type: ignore[name-defined]
    elif bare in _CHECKED_TEXT:
        bare = str
    # A type that has its own pattern or schema, as `Line` and `NewId` do, is strict already.
    is_strict = any(isinstance(m, WithJsonSchema) or hasattr(m, "pattern") for m in metadata)
    strict = () if is_strict else getattr(kind.strict, "__metadata__", ())
    metadata = [*(item for item in _constraints(strict) if item not in metadata), *metadata]
    shown = {**_shown(strict), **shown}
    # Once something wraps the type, Pydantic no longer knows how to bound it.
    wrapping = [_with_shown(item, shown) for item in metadata if _wraps(item)]
    bounds = [item for item in metadata if not _wraps(item)]
    extra = {"json_schema_extra": shown.pop("json_schema_extra", None)}
    value = Annotated[bare, *bounds, Field(**extra, **_narrowest(metadata)), *wrapping]  # type: ignore[valid-type]
    schema = TypeAdapter(value).json_schema()
    if bare is str and "maxLength" not in schema:
        raise TypeError("text needs a bound: write Field(max_length=200), say")
    if of and "maxItems" not in schema:
        raise TypeError("a list needs a bound: write Field(max_length=20), say")
    references = next((item for item in metadata if isinstance(item, References)), None)
    return StrictType(
        Annotated[value, Field(**shown)],
        value,
        kind,
        schema,
        NoneType in others,
        MISSING in others,
        references,
        of,
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
    return str(declared) if get_origin(declared) is dict else getattr(declared, "__name__", "")


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


def _wraps(item: object) -> bool:
    return any(hasattr(item, f"__get_pydantic_{what}_schema__") for what in ("core", "json"))


def _with_shown(item: Any, shown: dict[str, Any]) -> Any:  # noqa: ANN401 - a constraint
    """Add to a schema that is written out what Pydantic would not."""
    if isinstance(item, WithJsonSchema):
        return WithJsonSchema({**(item.json_schema or {}), **shown})
    return item


def _narrowest(metadata: Iterable[Any]) -> dict[str, Any]:
    """Return the narrowest of the bounds; Pydantic would take the last ones."""
    least = dict.fromkeys(("le", "lt", "max_length", "max_digits", "decimal_places"), min)
    narrower = {**dict.fromkeys(("ge", "gt", "min_length"), max), **least}
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
    bounds = _range(metadata)
    if bare is Decimal:
        return _decimal_kind(_narrowest(metadata), bounds)
    if bare not in KINDS:
        raise TypeError(f"{_name(bare)} is not supported: declare one of {_SUPPORTED}")
    if bare in _CHECKED_TEXT and _patterns(metadata):
        raise TypeError(f"an {_name(bare)} has a pattern of its own: leave yours out")
    if bare is timedelta and bounds == {("ge", timedelta())}:
        return POSITIVE_DURATION_KIND
    if bare in {date, datetime, time, timedelta, UUID} and bounds:
        but = " but ge=timedelta(0)" if bare is timedelta else ""
        raise TypeError(f"a {bare.__name__} has no bounds in JSON Schema{but}: leave them out")
    if bare is not int:
        return KINDS[bare]
    if not all(-(2**53) < number < 2**53 for _, number in bounds):
        raise TypeError("a bound is beyond 53 bits, the most that JavaScript has: narrow it")
    is_small = all(-(2**31) <= number < 2**31 for _, number in bounds)
    is_big = shown.get("json_schema_extra") == {"format": "int64"} or not is_small
    return BIG_INTEGER if is_big else KINDS[int]


def _decimal_kind(narrowest: dict[str, Any], bounds: set[tuple[str, Any]]) -> Kind:
    digits, places = (narrowest.get(name) for name in ("max_digits", "decimal_places"))
    if digits is None or places is None:
        raise TypeError("a Decimal needs both: write Field(max_digits=12, decimal_places=2), say")
    if not 0 <= places <= digits <= MOST_DIGITS or not digits:
        raise TypeError(f"max_digits is 1 to {MOST_DIGITS}, and decimal_places at most as much")
    if not bounds <= {("ge", 0), ("gt", 0)}:
        raise TypeError("a Decimal has no bounds in JSON Schema but ge=0 and gt=0: leave them out")
    least = "gt" if ("gt", 0) in bounds else "ge" if bounds else None
    return decimal_kind(digits, places, least=least)


def _range(metadata: Iterable[Any]) -> set[tuple[str, Any]]:
    """Return all bounds of a value, with their names."""
    names = ("ge", "gt", "le", "lt", "multiple_of")
    bounds = ((name, getattr(item, name, None)) for item in metadata for name in names)
    return {(name, bound) for name, bound in bounds if bound is not None}


def _item(bare: Any) -> StrictType | None:  # noqa: ANN401 - a type
    """Return the type of the items, if it is a list."""
    if get_origin(bare) is not list:
        return None
    (declared,) = get_args(bare)
    try:
        item = strict_type(FieldInfo.from_annotation(declared))
    except TypeError as error:
        raise TypeError(f"its items: {error}") from None
    if item.is_nullable or item.is_optional or item.references:
        raise TypeError("an item of a list is never null and refers to nothing: declare it plainly")
    if item.schema.get("type") in {"array", "object"}:
        raise TypeError("a list has no lists or objects: declare dict[str, Any]")
    return item


def _refusing_nul(metadata: list[Any], shown: dict[str, Any]) -> list[Any]:
    """Add what refuses NUL in text, beside a pattern of the field's own."""
    patterns = _patterns(metadata)
    if len(patterns) > 1:
        raise TypeError("text has two patterns, and only one would be checked: write one")
    if patterns - {LINE, NO_NUL, OWNER_ID, ENTITY_TAG, EMAIL, HTTP_URL, ANY_URL}:
        # Not in an `allOf`, of which generators of clients make another type.
        shown["json_schema_extra"] = {"not": {"pattern": r"\x00"}}
        return [*metadata, AfterValidator(_without_nul)]
    return metadata


def _patterns(metadata: Iterable[Any]) -> set[str]:
    return {pattern for item in metadata if (pattern := getattr(item, "pattern", None))}


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("Value should have no NUL character")
    return text
