"""The statements of an owned table, and the values of their parameters."""

from collections.abc import Callable, Collection, Coroutine, Hashable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from fastcrud import AccessDenied, FastCRUD, PolicyConfig
from pydantic import BaseModel
from sqlalchemy import (
    ARRAY,
    BindParameter,
    ClauseElement,
    ClauseList,
    ColumnElement,
    Insert,
    Select,
    Table,
    TypeClause,
    UpdateBase,
    any_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlalchemy.sql.elements import NamedColumn
from sqlalchemy.sql.operators import custom_op
from sqlmodel import col
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.db.compiled import OWNER, CompiledStatement
from app.kit.db.errors import OwnerMissingError
from app.kit.db.search import contains, search_values
from app.kit.models.owned import Owned
from app.kit.models.sorting import sort_key
from app.kit.models.time import later_version

ResultT = TypeVar("ResultT")
Versions = Collection[datetime]
"""Versions of a row: the times of its last change."""

THERE = "is there"
"""The column that tells a version conflict from a missing row. No field can have this name."""

_READ_ONLY = frozenset({"owner_id", "id", "created_at", "updated_at"})
_MOST_STATEMENTS = 1000
"""Clients choose which fields they send, and so how many statements there are."""
_SQL = (ClauseElement, QueryableAttribute)
# SQLAlchemy reserves column names as parameter names, hence the prefix.
_KEY: BindParameter[UUID] = bindparam("bound_key")
_LIMIT: BindParameter[int] = bindparam("bound_limit")
_VERSIONS = bindparam("bound_versions", type_=ARRAY(UTCDateTime))
_OF_A_ROW = (ColumnElement, ClauseList, TypeClause)


class Position(NamedTuple):
    """A place in a sorted list: after the row with this id and this value to sort by."""

    value: Any
    id: UUID


class Query(NamedTuple):
    """A statement, and the values of its parameters but for the owner."""

    statement: CompiledStatement
    values: dict[str, Any]


class _PageShape(NamedTuple):
    """A cache key: everything that changes the SQL of a page."""

    sort: str
    filters: tuple[str, ...]
    search: bool
    after: bool


class _UpdateShape(NamedTuple):
    """A cache key: everything that changes the SQL of an update."""

    given: tuple[str, ...]
    computed: tuple[tuple[str, Any], ...]
    conditional: bool


class _DeleteShape(NamedTuple):
    """A cache key: everything that changes the SQL of a delete."""

    conditional: bool


class Statements:
    """What is sent for each operation. Each shape is built once, and serves every owner.

    FastCRUD builds the queries, under a policy whose owner is a parameter.

    Args:
        model: the table.
        read_schema: the fields that rows are read with.
    """

    def __init__(self, model: type[Owned], read_schema: type[BaseModel]) -> None:
        self._model = model
        self._table: Table = model.__table__  # type: ignore[attr-defined]
        self._read_schema = read_schema
        mine = PolicyConfig(read=col(model.owner_id) == OWNER)
        self._fastcrud: FastCRUD[Any, Any, Any, Any, Any, Any] = FastCRUD(model, policy=mine)
        self._one = self._select(id=_KEY)
        self._kept: dict[Hashable, CompiledStatement] = {}
        self._get = CompiledStatement(self._one)
        self._create = CompiledStatement(self._insert_one())

    def create(self, row: Mapping[str, Any]) -> Query:
        """Insert a row, with a value for each field, and return it."""
        return Query(self._create, _bound_values(row))

    def get(self, id_: UUID) -> Query:
        """Return a row."""
        return Query(self._get, {_KEY.key: id_})

    def get_page(
        self,
        *,
        sort: str,
        limit: int,
        filters: Mapping[str, Any],
        search: str | None,
        after: Position | None,
    ) -> Query:
        """Return rows of a sorted list. `OwnedCRUD.get_page` has the arguments."""
        shape = _PageShape(sort, tuple(filters), search is not None, after is not None)
        values = _bound_values(filters) | {_LIMIT.key: limit}
        if search is not None:
            values |= search_values(search)
        if after is not None:
            field = sort.removeprefix("-")
            values |= {_after(field): after.value, _after("id"): after.id}
        return Query(self._statement(shape, self._select_page), values)

    def update(self, id_: UUID, changes: Mapping[str, Any], versions: Versions | None) -> Query:
        """Change a row, and return it.

        Raises:
            AccessDenied: a field is not for its owner to change.
            TypeError: a field is not there, or an expression reads more than the row.
        """
        computed = {k: v for k, v in changes.items() if isinstance(v, _SQL)}
        given = {k: v for k, v in changes.items() if k not in computed}
        shape = _UpdateShape(tuple(given), tuple(computed.items()), versions is not None)
        values = {**_bound_values(given), _KEY.key: id_, _VERSIONS.key: versions}
        return Query(self._statement(shape, self._update_one), values)

    def delete(self, id_: UUID, versions: Versions | None) -> Query:
        """Delete a row, and return what it was."""
        values = {_KEY.key: id_, _VERSIONS.key: versions}
        return Query(self._statement(_DeleteShape(versions is not None), self._delete_one), values)

    def _statement(
        self, shape: Hashable, build: Callable[[Any], Select[Any] | UpdateBase]
    ) -> CompiledStatement:
        statement = self._kept.get(shape)
        if statement is None:
            if len(self._kept) == _MOST_STATEMENTS:
                self._kept.clear()
            statement = self._kept[shape] = CompiledStatement(build(shape))
        return statement

    def _select(self, **conditions: Any) -> Select[Any]:
        """Return FastCRUD's query of the owner's rows, with the fields that rows are read with."""
        query: Select[Any] = _result(self._fastcrud.select(self._read_schema, **conditions))
        return query

    def _select_page(self, shape: _PageShape) -> Select[Any]:
        field = shape.sort.removeprefix("-")
        descending = shape.sort.startswith("-")
        # The order of creation is the order of the primary key.
        names = ["id"] if field == "created_at" else [field, "id"]
        keys = [self._sort_key(name, self._table.c[name]) for name in names]
        where: list[ColumnElement[bool]] = []
        if shape.search:
            where.append(or_(*(contains(self._table.c[name]) for name in self._model.searchable)))
        if shape.after:
            after = (bindparam(_after(name), type_=self._table.c[name].type) for name in names)
            here, there = tuple_(*keys), tuple_(*map(self._sort_key, names, after))
            where.append(here < there if descending else here > there)
        where += [self._table.c[field] == bindparam(_bound(field)) for field in shape.filters]
        order = [key.desc() if descending else key.asc() for key in keys]
        return self._select(where=where).order_by(*order).limit(_LIMIT)

    def _sort_key(self, name: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
        return sort_key(value, self._model.owned_fields[name].type)

    def _insert_one(self) -> Insert:
        columns = (column for column in self._table.columns if column.name != "owner_id")
        values = {column: bindparam(_bound(column.name), type_=column.type) for column in columns}
        new = insert(self._table).values(values).values(owner_id=OWNER)
        return new.returning(*self._one.selected_columns)

    def _update_one(self, shape: _UpdateShape) -> Select[Any] | ReturningUpdate[Any]:
        computed = dict(shape.computed)
        self._refuse_unwritable({*shape.given, *computed})
        for expression in computed.values():
            self._refuse_other_rows(expression)
        write = (
            update(self._table)
            .where(self._is_mine())
            .values({field: bindparam(_bound(field)) for field in shape.given})
            .values(computed)
            .values(updated_at=later_version(self._table))
            .returning(*self._one.selected_columns)
        )
        return self._if_current(write) if shape.conditional else write

    def _delete_one(self, shape: _DeleteShape) -> Select[Any] | ReturningDelete[Any]:
        columns = self._one.selected_columns
        write = delete(self._table).where(self._is_mine()).returning(*columns)
        return self._if_current(write) if shape.conditional else write

    def _is_mine(self) -> ColumnElement[bool]:
        """Return the condition of FastCRUD's query of one row."""
        if self._one.whereclause is None:
            raise OwnerMissingError(self._one)
        return self._one.whereclause

    def _if_current(self, write: ReturningUpdate[Any] | ReturningDelete[Any]) -> Select[Any]:
        """Write if the version matches.

        The extra column tells a version conflict (412) from a missing row (404).
        """
        written = write.where(self._table.c.updated_at == any_(_VERSIONS)).cte("written")
        there = select(self._one.exists().label(THERE)).subquery("there")
        return select(there, written).select_from(there.outerjoin(written, true()))

    def _refuse_unwritable(self, fields: set[Any]) -> None:
        if read_only := _READ_ONLY & fields:
            raise AccessDenied("update", self._model, columns=sorted(read_only), reason="columns")
        if unknown := fields.difference(self._table.columns.keys()):
            raise TypeError(f"{self._table.name} has no fields {unknown}")

    def _refuse_other_rows(self, expression: Any) -> None:  # noqa: ANN401 - SQL of any kind
        """Refuse an expression that reads more than the row: a query, text, another table.

        It guards against mistakes. A function that runs SQL in a value is not recognized.
        """
        clause = (
            expression.__clause_element__()
            if hasattr(expression, "__clause_element__")
            else expression
        )
        for part in visitors.iterate(clause):
            of_another = (
                isinstance(part, NamedColumn) and getattr(part, "table", None) != self._table
            )
            operators = {type(getattr(part, name, None)) for name in ("operator", "modifier")}
            if of_another or custom_op in operators or not isinstance(part, _OF_A_ROW):
                raise OwnerMissingError(
                    f"{self._table.name}: an expression of an update reads nothing but the row."
                    " Use a transaction for other statements"
                )


def _result(build: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return the result of a coroutine that awaits nothing, as FastCRUD's ``select``."""
    try:
        build.send(None)
    except StopIteration as done:
        result: ResultT = done.value
        return result
    build.close()
    raise RuntimeError("FastCRUD's select waits for something")


def _bound(field: str) -> str:
    """The name of the parameter with a value of a field."""
    return f"bound_value_{field}"


def _after(field: str) -> str:
    """The name of the parameter with the value of a field where a page starts."""
    return f"bound_after_{field}"


def _bound_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_bound(field): value for field, value in values.items()}
