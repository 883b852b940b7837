"""The base of every owned table: one class declares a resource."""

from collections.abc import Callable, Iterable
from datetime import datetime
from inspect import get_annotations
from typing import Any, ClassVar, NamedTuple
from uuid import UUID
from weakref import WeakSet

from pydantic import AnyUrl, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from sqlalchemy import Column, ColumnDefault, Index, String, Table, event, func, true
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapper
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

from app.kit.models.constraints import (
    NAMING_CONVENTION,
    add_checks,
    add_foreign_key,
    add_unique,
    refuse_long_keys,
    refuse_unsafe,
)
from app.kit.models.declarations import StrictType, strict_type
from app.kit.models.fields import KINDS, Id, OwnerId, Time
from app.kit.models.literals import default_in_sql
from app.kit.models.sorting import Sort, parse_sort, sort_columns, sort_key
from app.kit.models.time import creation_time, later_version

SQLModel.metadata.naming_convention = NAMING_CONVENTION

OWNER_SETTING = "app.owner"
"""The setting of PostgreSQL that names the owner in a transaction."""

_UNFIT = {
    "filterable": "of a type that lists are not filtered by: leave it out",
    "searchable": "no text: name text",
    "sortable": "of a type that has no order: leave it out",
    "sortable_unindexed": "of a type that has no order: leave it out",
    "not_in_create": "required, and nothing else could give its value: give it a default",
}
_NAMING = (*_UNFIT, "unique", "not_in_update", "not_in_read")
"""The class variables that name fields."""


class OwnedField(NamedTuple):
    """A field of an owned table.

    Attributes:
        type: its type, strict and bounded.
        info: what Pydantic knows of it, its default included.
    """

    type: StrictType
    info: FieldInfo

    @property
    def has_default(self) -> bool:
        """Whether a row may be created without it."""
        return not self.info.is_required()

    @property
    def constant(self) -> Any:  # noqa: ANN401 - of any kind
        """The default of all rows; None if there is none, or it is another one for each."""
        if self.info.default_factory in (list, dict):
            return self.default()
        return None if self.info.is_required() or self.info.default_factory else self.info.default

    def default(self) -> Any:  # noqa: ANN401 - of any kind
        """Return the value of a row that is created without it."""
        return self.info.get_default(call_default_factory=True)


class Owned(SQLModel):
    """A row that belongs to one owner. A resource subclasses it with ``table=True``.

    The key is ``(owner_id, id)``: a row is found through its owner. ``id`` is a UUIDv7
    (RFC 9562), so the order of ``id`` is the order of creation.

    Class variables name fields:

    - ``filterable``: lists are filtered by them: equality, sets of text, numbers, ids and members,
      ranges of numbers and times, what a list contains, and whether they are null.
    - ``searchable``: lists are searched in them (text).
    - ``sortable``: lists are sorted by them, or by a tuple of them, as ``("priority", "-due")``,
      and in the opposite order (null counts as the largest value; text is sorted by its code
      points, A as a). Each costs an index, which filters make wider.
    - ``sortable_unindexed``: lists are sorted by up to three of them and of the single fields of
      ``sortable``, in any combination. Each time PostgreSQL sorts all of the owner's rows that the
      filters find.
    - ``unique``: no other row of the owner has the same value. A tuple of fields is unique as a
      whole.
    - ``not_in_create``, ``not_in_update``, ``not_in_read``: left out of these schemas.

    Raises:
        TypeError: a field or a class variable cannot work. The message says what to write instead.
    """

    filterable: ClassVar[tuple[str, ...]] = ()
    searchable: ClassVar[tuple[str, ...]] = ()
    sortable: ClassVar[tuple[str | tuple[str, ...], ...]] = ("created_at", "updated_at")
    sortable_unindexed: ClassVar[tuple[str, ...]] = ()
    unique: ClassVar[tuple[str | tuple[str, ...], ...]] = ()
    not_in_create: ClassVar[tuple[str, ...]] = ()
    not_in_update: ClassVar[tuple[str, ...]] = ()
    not_in_read: ClassVar[tuple[str, ...]] = ()
    owned_fields: ClassVar[dict[str, OwnedField]] = {}

    # None is for a new row of a transaction: its columns have the defaults.
    owner_id: OwnerId = Field(default=None)
    id: Id = Field(default=None)
    created_at: Time = Field(default=None)
    updated_at: Time = Field(default=None)

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Refuse fields that would hide a part of the machinery."""
        super().__init_subclass__(**arguments)
        for name in get_annotations(cls):
            if name in {*Owned.model_fields, "etag"} or (
                hasattr(Owned, name) and name not in _NAMING
            ):
                raise TypeError(f"{cls.__name__}.{name}: Owned has this name: rename the field")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Make the types of all fields strict, and columns of them."""
        cls.owned_fields = {}
        for name, info in cls.model_fields.items():
            if isinstance(info.default, AnyUrl):
                info.default = str(info.default)  # as it is stored
            try:
                info.metadata = [item for item in info.metadata if id(item) not in _columns]
                field = OwnedField(strict_type(info), info)
                _refuse_unfit_default(field)
            except TypeError as error:
                raise TypeError(f"{cls.__name__}.{name}: {error}") from None
            cls.owned_fields[name] = field
            (column,) = Field(sa_column=_column(name, field)).metadata
            _columns[id(column)] = column
            info.metadata = [column, *info.metadata]
        _refuse_unfit_names(cls)


# What SQLModel is told of columns: a subclass makes its own, and does not read these as declared.
_columns: dict[int, Any] = {}
_owned_tables: WeakSet[Table] = WeakSet()


def table_of(model: type[Owned]) -> Table:
    """Return the table of a model."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


def is_owned(table: Table) -> bool:
    """Tell whether a table is that of an owned model."""
    return table in _owned_tables


def own_fields(model: type[Owned]) -> dict[str, OwnedField]:
    """Return the fields that a resource declares itself."""
    fields = model.owned_fields.items()
    return {name: field for name, field in fields if name not in Owned.model_fields}


def new_id() -> UUID:
    """A UUIDv7, greater than any that this process made before."""
    return uuid7()


def _refuse_unfit_default(field: OwnedField) -> None:
    if field.constant is None:
        return
    try:
        adapter = TypeAdapter(field.type.annotation)
        adapter.validate_json(adapter.dump_json(adapter.validate_python(field.constant)))
    except ValidationError as error:
        raise TypeError(f"its default does not fit: {error.errors()[0]['msg']}") from None


def _refuse_unfit_names(model: type[Owned]) -> None:
    """Refuse class variables that name what is no field, or one of an unfit kind."""
    fields = model.owned_fields
    named = {use: _flat(getattr(model, use)) for use in _NAMING}
    named["sortable"] = [name.removeprefix("-") for name in named["sortable"]]
    for use, names in named.items():
        for name in names:
            if name not in fields:
                known = ", ".join(fields)
                raise TypeError(f'{model.__name__}.{use}: "{name}" is no field: use one of {known}')
    unfit: dict[str, Callable[[OwnedField], bool]] = {
        "filterable": lambda field: not field.type.kind.operators,
        "searchable": lambda field: field.type.kind is not KINDS[str],
        "sortable": lambda field: field.type.kind.ordering is None,
        "sortable_unindexed": lambda field: field.type.kind.ordering is None,
        "not_in_create": lambda field: not field.has_default,
    }
    for use, is_unfit in unfit.items():
        for name in named[use]:
            if is_unfit(fields[name]):
                raise TypeError(f"{model.__name__}.{use}: {name} is {_UNFIT[use]}")


def _flat(names: Iterable[str | tuple[str, ...]]) -> list[str]:
    return [part for name in names for part in ([name] if isinstance(name, str) else name)]


def _column(name: str, field: OwnedField) -> Column[Any]:
    """Return a new column for a field."""
    type_ = field.type.kind.column()
    match name:
        case "owner_id":
            # Collation "C" compares byte by byte, whatever the locale of the database.
            owner = func.current_setting(OWNER_SETTING, true())
            return Column(name, String(255, collation="C"), primary_key=True, default=owner)
        case "id":
            return Column(name, type_, primary_key=True, default=new_id)
        case "created_at" | "updated_at":
            return Column(name, type_, nullable=False, default=_created_at)
    return Column(
        name,
        type_,
        nullable=field.type.is_nullable,
        default=field.info.default_factory,
        # With it, rows that are there already get the default of a new field, and so do rows that
        # the version before this one inserts.
        server_default=None if field.constant is None else default_in_sql(field.constant),
    )


def _created_at(context: DefaultExecutionContext) -> datetime:
    id_: UUID = context.get_current_parameters()["id"]  # type: ignore[no-untyped-call]
    return creation_time(id_)


@event.listens_for(Owned, "instrument_class", propagate=True)
def _constrain_and_index(_mapper: Mapper[Any], model: type[Owned]) -> None:
    table = table_of(model)
    _owned_tables.add(table)
    table.c.updated_at.onupdate = ColumnDefault(later_version(table), for_update=True)
    schemas = {name: field.type.schema for name, field in model.owned_fields.items()}
    try:
        sorts = [parse_sort(fields) for fields in model.sortable]
        for names in (*model.unique, *model.sortable_unindexed):
            refuse_long_keys({name: schemas[name] for name in _flat([names])})
        for sort in sorts:
            indexed = {*(by.field for by in sort), *model.filterable}
            refuse_long_keys({name: schemas[name] for name in indexed})
        for name, field in model.owned_fields.items():
            add_checks(table, name, field.type.stored)
            if field.type.references:
                add_foreign_key(table, name, field.type.references)
        for names in model.unique:
            add_unique(table, (names,) if isinstance(names, str) else names)
        for sort in sorts:
            _index_sort(table, model, sort)
        refuse_unsafe(table)
    except TypeError as error:
        raise TypeError(f"{model.__name__}: {error}") from None


def _index_sort(table: Table, model: type[Owned], sort: Sort) -> None:
    """Index a sort order. What lists are filtered by is in it, so that no other row is read."""
    keys = []
    for name, descending in sort_columns(sort):
        key = sort_key(table.c[name], model.owned_fields[name].type)
        keys.append(key.desc() if descending else key)
    named = [by.field for by in sort]
    filters = [
        table.c[name]
        for name in model.filterable
        # A list may be longer than what PostgreSQL indexes.
        if name not in {*named, "id"} and not model.owned_fields[name].type.item
    ]
    # To sort by creation is to sort by id, and without a filter the primary key will do for that.
    if len(keys) > 1 or filters:
        Index(f"ix_{table.name}_by_{'_'.join(named)}", table.c.owner_id, *keys, *filters)
