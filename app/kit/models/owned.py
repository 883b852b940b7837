"""The base of every owned table and of its schemas."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, get_args
from uuid import UUID

from pydantic import MISSING, BaseModel, ConfigDict, model_validator
from pydantic import Field as PydanticField
from sqlalchemy import Column, Index, String, Table, UniqueConstraint, event
from sqlalchemy.orm import Mapper
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

from app.kit.models.constraints import NAMING_CONVENTION, column_types, refer, repeat_bounds
from app.kit.models.declarations import refuse_beyond_owner, refuse_long_keys, refuse_unsupported
from app.kit.models.fields import Id, NewId, OwnerId, References, Time, declared_type
from app.kit.models.sorting import sort_key
from app.kit.models.time import from_microseconds

SQLModel.metadata.naming_convention = NAMING_CONVENTION


class Owned(SQLModel):
    """A row that belongs to one owner. A resource subclasses it with ``table=True``.

    The key is ``(owner_id, id)``: a row is found through its owner. ``id`` is a UUIDv7
    (RFC 9562), so the order of ``id`` is the order of creation.

    The class variables name the fields that a list can be sorted by (times, dates and integers;
    null is the largest value), filtered by (these but for times, and booleans, enumerations, ids
    and text) and searched in (text), and those whose value no other row of the owner has. A sort
    order costs an index, which filters make wider, and so does a unique field.

    Raises:
        TypeError: something that the model declares would hold beyond one owner, or lets a field
            take what the database cannot hold.
    """

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "updated_at")
    filterable: ClassVar[tuple[str, ...]] = ()
    searchable: ClassVar[tuple[str, ...]] = ()
    unique: ClassVar[tuple[str, ...]] = ()

    # Collation "C" compares byte by byte, whatever the locale of the database.
    owner_id: OwnerId = Field(primary_key=True, sa_type=String(255, collation="C"))
    id: Id = Field(primary_key=True)
    created_at: Time
    updated_at: Time

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Choose types for columns, where SQLModel's own would not do."""
        refuse_unsupported(cls)
        for name, type_ in column_types(cls.model_json_schema()):
            field = cls.model_fields[name]
            field.metadata = [*Field(sa_type=type_).metadata, *field.metadata]


@event.listens_for(Owned, "instrument_class", propagate=True)
def _constrain_and_index(_mapper: Mapper[Any], model: type[Owned]) -> None:
    table: Table = model.__table__  # type: ignore[attr-defined]
    schema = model.model_json_schema()
    refuse_long_keys(table, schema, indexed=(*model.unique, *model.filterable))
    repeat_bounds(table, schema)
    for field in model.unique:
        table.append_constraint(UniqueConstraint(table.c.owner_id, table.c[field]))
    for field in model.sortable:
        _index_order(table, field, [table.c[name] for name in model.filterable])
    for field in model.model_fields:
        for reference in get_args(declared_type(model, field)):
            if isinstance(reference, References):
                refer(table, field, reference)
                Index(None, table.c.owner_id, table.c[field], table.c.id)
    refuse_beyond_owner(table)


def _index_order(table: Table, field: str, filters: list[Column[Any]]) -> None:
    """Index a sort order. What lists are filtered by is in it, so that no other row is read."""
    # To sort by creation is to sort by id, and without a filter the primary key will do for that.
    key = [] if field == "created_at" else [sort_key(table.c[field])]
    columns = [*key, table.c.id, *(column for column in filters if column.name != field)]
    if len(columns) > 1:
        Index(f"ix_{table.name}_by_{field}", table.c.owner_id, *columns)


class RequestSchema(BaseModel):
    """Base of what clients send. An unknown field is refused.

    Raises:
        TypeError: a field takes what the database cannot hold, or a value that is coerced.
    """

    model_config = ConfigDict(extra="forbid", use_enum_values=True)

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        """Refuse fields that would not keep to the contract."""
        refuse_unsupported(cls)

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, body: object) -> object:
        """Take 1.0 for 1: to JSON Schema it is an integer, to Pydantic it is none."""
        if not isinstance(body, dict):
            return body
        return {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in body.items()
        }


class CreateSchema(RequestSchema):
    """Base of what clients send to create a row."""

    id: Annotated[
        NewId | MISSING,
        PydanticField(
            description="A UUIDv7 of your own. It makes a retry safe: the second one is 409.",
            examples=["01a20276-ba86-76a2-88ef-8e98309d0047"],
        ),
    ] = MISSING


class UpdateSchema(RequestSchema):
    """Base of what clients send to change a row.

    A field is declared ``Type | MISSING = MISSING``: it may be absent, but not null.
    """


class ReadSchema(BaseModel):
    """Base of what clients are shown. No field has a default; the owner is not repeated."""

    model_config = ConfigDict(use_enum_values=True)  # as they are stored

    id: Annotated[Id, PydanticField(description="A UUIDv7: the order of ids is that of creation.")]
    created_at: Annotated[Time, PydanticField(description="When the id was made.")]
    updated_at: Annotated[Time, PydanticField(description="When it was last changed.")]


def new_id() -> UUID:
    """A UUIDv7, greater than any that this process made before."""
    return uuid7()


def creation_time(id_: UUID) -> datetime:
    """The moment in a UUIDv7: Unix milliseconds in its first 48 bits (RFC 9562, 5.7)."""
    return from_microseconds((id_.int >> 80) * 1000)
