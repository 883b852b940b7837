"""What clients send and see: schemas derived from a model, or written by hand."""

import re
from collections.abc import Iterable
from inspect import get_annotations
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import MISSING, BaseModel, ConfigDict, Field, create_model, model_validator

from app.kit.models.declarations import strict_type
from app.kit.models.fields import ENTITY_TAG, Id, NewId, Time
from app.kit.models.owned import Owned, OwnedField, own_fields


class Schema(BaseModel):
    """Base of all schemas. Plain types are made strict and bounded, as in a model.

    Raises:
        TypeError: a field cannot work. The message says what to write instead.
    """

    model_config = ConfigDict(use_enum_values=True)  # as they are stored

    def __init_subclass__(cls, **_: Any) -> None:
        """Take the arguments that Pydantic hands on."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(cls, *, is_strict: bool = True, **_: Any) -> None:
        """Make the types of the fields strict, unless rows are to be shown as they are."""
        if not is_strict:
            return
        for name in get_annotations(cls).keys() & cls.model_fields.keys():
            info = cls.model_fields[name]
            try:
                strict = strict_type(info)
            except TypeError as error:
                raise TypeError(f"{cls.__name__}.{name}: {error}") from None
            info.annotation = strict.declared(is_optional=strict.is_optional)
            # The type has them now.
            info.metadata, info.description, info.examples = [], None, None
        cls.model_rebuild(force=True)


class RequestSchema(Schema):
    """Base of what clients send. An unknown field is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, body: object) -> object:
        """Take 1.0 for 1: to JSON Schema it is an integer, to Pydantic it is none."""
        if not isinstance(body, dict):
            return body
        # Nothing within an object: there 1.0 is no integer's value.
        return {
            name: [*map(_whole, value)] if isinstance(value, list) else _whole(value)
            for name, value in body.items()
        }


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class CreateSchema(RequestSchema):
    """Base of what clients send to create a row."""

    id: Annotated[
        NewId | MISSING,
        Field(
            description="A UUIDv7 of your own, of a time that is at most a day ahead. It makes a"
            " retry safe: the second one is 409.",
            examples=["01a20276-ba86-76a2-88ef-8e98309d0047"],
        ),
    ] = MISSING


class UpdateSchema(RequestSchema):
    """Base of what clients send to change a row. All fields are optional.

    A field is declared ``Type | MISSING = MISSING``, or ``Type | MISSING | None = MISSING`` if
    null clears it.

    Raises:
        TypeError: a field has another default: a PATCH of other fields would set it.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        """Refuse other defaults."""
        super().__pydantic_init_subclass__(**arguments)
        for name, info in cls.model_fields.items():
            if info.default is not MISSING:
                raise TypeError(
                    f"{cls.__name__}.{name}: a PATCH of other fields would set it to its default:"
                    " declare it as `Type | MISSING = MISSING` (`from pydantic import MISSING`)"
                )


class ReadSchema(Schema):
    """Base of what clients are shown. No field has a default; the owner is not repeated."""

    id: Annotated[Id, Field(description="A UUIDv7: the order of ids is that of creation.")]
    created_at: Annotated[Time, Field(description="When the id was made.")]
    updated_at: Annotated[Time, Field(description="When it was last changed.")]
    etag: Annotated[
        str,
        Field(
            max_length=18,
            pattern=ENTITY_TAG,
            description="Its version, for `If-Match`, as in the header `ETag`.",
            examples=['"660d99fc89b70"'],
        ),
    ]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401 - the fields of a model


class Schemas(NamedTuple):
    """What clients of a resource send and see."""

    create: type[CreateSchema]
    update: type[UpdateSchema]
    read: type[ReadSchema]


def schemas_of(
    model: type[Owned],
    create: type[CreateSchema] | None = None,
    update: type[UpdateSchema] | None = None,
    read: type[ReadSchema] | None = None,
) -> Schemas:
    """Derive the schemas of a model, but for those that are given.

    Raises:
        TypeError: a schema has a field that the table lacks, or does not set one that it needs.
    """
    schemas = Schemas(create or _create(model), update or _update(model), read or _read(model))
    for schema in schemas:
        for name in schema.model_fields.keys() - {*model.owned_fields, "etag"}:
            raise TypeError(
                f"{schema.__name__}.{name}: {model.__name__} has no such field, so its value would"
                f" be lost: declare it in {model.__name__}, or leave it out here"
            )
    for name, field in own_fields(model).items():
        if not field.has_default and name not in schemas.create.model_fields:
            raise TypeError(
                f"{schemas.create.__name__}.{name}: a {model.__name__} needs it and has no default"
                f" for it: add it here, or give {model.__name__}.{name} a default"
            )
    return schemas


def _create(model: type[Owned]) -> type[CreateSchema]:
    declared = _without(model, model.not_in_create)
    required = {name: field for name, field in declared.items() if not field.has_default}
    fields: dict[str, Any] = {
        name: (
            field.type.declared(is_optional=field.has_default),
            MISSING if field.has_default else ...,
        )
        for name, field in declared.items()
    }
    schema = create_model(
        f"{model.__name__}Create",
        __base__=CreateSchema,
        __doc__=f"A new {words_of(model)}. What is left out gets its default.",
        **fields,
    )
    examples = {name: field.info.examples for name, field in required.items()}
    if examples and all(examples.values()):
        example = {name: shown[0] for name, shown in examples.items() if shown}
        schema.model_config["json_schema_extra"] = {"examples": [example]}
        schema.model_rebuild(force=True)
    return schema


def _update(model: type[Owned]) -> type[UpdateSchema]:
    fields: dict[str, Any] = {
        name: (field.type.declared(is_optional=True), MISSING)
        for name, field in _without(model, model.not_in_update).items()
    }
    return create_model(
        f"{model.__name__}Update",
        __base__=UpdateSchema,
        __doc__="The fields to change. What is left out stays as it is.",
        **fields,
    )


def _read(model: type[Owned]) -> type[ReadSchema]:
    fields: dict[str, Any] = {
        name: (field.type.declared(is_optional=False), ...)
        for name, field in _without(model, model.not_in_read).items()
    }
    return create_model(
        f"{model.__name__}Read",
        __base__=ReadSchema,
        __doc__=f"{with_article(model).capitalize()} as its owner sees it.",
        **fields,
    )


def words_of(model: type[Owned]) -> str:
    """Return the name of a model in words: ``todo item`` for ``TodoItem``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", model.__name__).lower()


def with_article(model: type[Owned]) -> str:
    """Return the name of a model in words, with its article: ``an expense``."""
    words = words_of(model)
    # At the start of a word, u is mostly no vowel: a user, a unit.
    return f"{'an' if words.startswith(('a', 'e', 'i', 'o')) else 'a'} {words}"


def _without(model: type[Owned], left_out: Iterable[str]) -> dict[str, OwnedField]:
    return {name: field for name, field in own_fields(model).items() if name not in left_out}
